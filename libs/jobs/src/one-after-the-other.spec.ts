import { OneAfterTheOther } from './one-after-the-other';

/** Work that is begun, and ends when it is told to. */
function controlled(): { work: () => Promise<number>; begun: () => number; end: () => Promise<void> } {
  const ends: (() => void)[] = [];
  let begun = 0;
  const work = async (): Promise<number> => {
    const mine = ++begun;
    await new Promise<void>((resolve) => ends.push(resolve));
    return mine;
  };
  const settle = () => new Promise<void>((resolve) => setImmediate(resolve));
  const end = async (): Promise<void> => {
    await settle();
    ends.shift()?.();
    await settle();
  };
  return { work, begun: () => begun, end };
}

it('who asks while the same is done gets what is begun after that, and shares it', async () => {
  const one = new OneAfterTheOther<number>();
  const { work, begun, end } = controlled();
  const first = one.run('a', work);
  await new Promise((resolve) => setImmediate(resolve));
  const later = [one.run('a', work), one.run('a', work)];
  expect(begun()).toBe(1);
  await end();
  await end();
  expect(await Promise.all([first, ...later])).toEqual([1, 2, 2]);
});

it('one key does not wait for another, nor for what failed', async () => {
  const one = new OneAfterTheOther<number>();
  const failing = one.run('a', () => Promise.reject(new Error('no')));
  const after = one.run('a', () => Promise.resolve(2));
  expect(await one.run('b', () => Promise.resolve(3))).toBe(3);
  await expect(failing).rejects.toThrow('no');
  await expect(after).rejects.toThrow('no'); // asked before the first had begun: they share it
  expect(await one.run('a', () => Promise.resolve(4))).toBe(4);
});
