import { Turns } from './turns';

const forever = new AbortController().signal;

/** Work that ends when it is told to, and says that it began. */
function work(begun: string[], name: string) {
  let end!: () => void;
  const until = new Promise<void>((resolve) => (end = resolve));
  return {
    end,
    run: async () => {
      begun.push(name);
      await until;
      return name;
    },
  };
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

it('as many at once as there are places, in the order they came', async () => {
  const turns = new Turns(2);
  const begun: string[] = [];
  const all = ['a', 'b', 'c', 'd'].map((name) => ({ name, ...work(begun, name) }));
  const results = all.map(({ name, run }) => turns.run(name, forever, run));
  await settle();
  expect(begun).toEqual(['a', 'b']);
  all[1]!.end();
  await results[1];
  await settle();
  expect(begun).toEqual(['a', 'b', 'c']);
  for (const { end } of all) end();
  expect(await Promise.all(results)).toEqual(['a', 'b', 'c', 'd']);
});

it('the same key never twice at once, and whoever waits for it takes no place', async () => {
  const turns = new Turns(2);
  const begun: string[] = [];
  const [first, second, other] = [work(begun, 'first'), work(begun, 'second'), work(begun, 'other')];
  const results = [
    turns.run('k', forever, first.run),
    turns.run('k', forever, second.run),
    turns.run('o', forever, other.run),
  ];
  await settle();
  expect(begun).toEqual(['first', 'other']);
  first.end();
  await results[0];
  await settle();
  expect(begun).toEqual(['first', 'other', 'second']);
  second.end();
  other.end();
  await Promise.all(results);
});

it('work that fails leaves its place and its key', async () => {
  const turns = new Turns(1);
  await expect(turns.run('k', forever, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(await turns.run('k', forever, () => Promise.resolve('yes'))).toBe('yes');
});

it('a signal ends waiting, for a key and for a place, and neither is lost by it', async () => {
  const turns = new Turns(1);
  const begun: string[] = [];
  const busy = work(begun, 'busy');
  const running = turns.run('k', forever, busy.run);
  for (const key of ['k', 'other']) {
    const stop = new AbortController();
    const waiting = turns.run(key, stop.signal, work(begun, 'never').run);
    await settle();
    stop.abort(new Error('stopped'));
    await expect(waiting).rejects.toThrow('stopped');
  }
  const next = turns.run('k', forever, () => Promise.resolve('next'));
  busy.end();
  await running;
  expect(await next).toBe('next');
  expect(begun).toEqual(['busy']);
});
