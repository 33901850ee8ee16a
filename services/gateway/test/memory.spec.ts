import { Memory } from '../src/access/memory';

const never = new AbortController().signal;

test('what fits is given at once; what does not waits for its turn, and nobody overtakes it', async () => {
  const memory = new Memory(10);
  const order: string[] = [];
  const first = await memory.take(6, never);
  const second = memory.take(6, never).then((release) => (order.push('second'), release));
  const third = memory.take(1, never).then((release) => (order.push('third'), release));
  await Promise.resolve();
  expect(order).toEqual([]);
  first();
  first(); // given back once, however often it is said
  const releases = await Promise.all([second, third]);
  expect(order).toEqual(['second', 'third']);
  for (const release of releases) release();
  (await memory.take(10, never))();
});

test('one that is larger than all has all of it, and one that leaves lets the others go on', async () => {
  const memory = new Memory(10);
  const all = await memory.take(1000, never);
  const leaving = new AbortController();
  const gone = memory.take(10, leaving.signal);
  const after = memory.take(3, never);
  leaving.abort(new Error('left'));
  await expect(gone).rejects.toThrow('left');
  all();
  (await after)();
  await expect(memory.take(1, AbortSignal.abort(new Error('left')))).rejects.toThrow('left');
});
