import { Gather } from './gather';

/** Work that ends when it is told to: what it was given, and a way to let the first piece go. */
function held(most: number, work: (item: number) => number) {
  const pieces: number[][] = [];
  let free: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => (free = resolve));
  const gather = new Gather<number, number>(most, async (items) => {
    pieces.push(items);
    await gate;
    return items.map(work);
  });
  return { gather, pieces, free };
}

const bad = (item: number): number => {
  if (item === 3) throw new Error('three is bad');
  return 10 * item;
};

it('takes what has come meanwhile together, no more than allowed, each result to its caller', async () => {
  const { gather, pieces, free } = held(3, (item) => 10 * item);
  const all = [1, 2, 3, 4, 5].map((item) => gather.run(item));
  free();
  expect(await Promise.all(all)).toEqual([10, 20, 30, 40, 50]);
  expect(pieces).toEqual([[1], [2, 3, 4], [5]]);
});

it('fails only the caller whose item is bad: the others are tried alone', async () => {
  const { gather, pieces, free } = held(4, bad);
  const all = [1, 2, 3, 4].map((item) => gather.run(item));
  free();
  expect(await Promise.allSettled(all)).toEqual([
    { status: 'fulfilled', value: 10 },
    { status: 'fulfilled', value: 20 },
    { status: 'rejected', reason: new Error('three is bad') },
    { status: 'fulfilled', value: 40 },
  ]);
  expect(pieces).toEqual([[1], [2, 3, 4], [2], [3], [4]]);
});

it('goes on after a failure, with what comes later too', async () => {
  const { gather, free } = held(2, bad);
  free();
  await expect(gather.run(3)).rejects.toThrow('three is bad');
  expect(await gather.run(4)).toBe(40);
});
