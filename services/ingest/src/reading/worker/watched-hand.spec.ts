import { BadFile } from '../../readers';
import type { FromReader } from '../messages';
import { WatchedHand } from './watched-hand';

function handOf(without: [string, string][] = []) {
  const sent: FromReader[] = [];
  const hand = new WatchedHand((message) => Promise.resolve(void sent.push(message)), new Map(without));
  return { sent, hand };
}

it('says what is in hand before it is begun, and when it is past', async () => {
  const { sent, hand } = handOf();
  const before: number[] = [];
  expect(await hand.over('a.jpg', () => Promise.resolve(before.push(sent.length)))).toBe(1);
  expect(before).toEqual([1]);
  expect(sent).toEqual([
    { kind: 'at', item: 'a.jpg' },
    { kind: 'past', item: 'a.jpg' },
  ]);
});

it('leaves out what is to be left out, with the reason, and does not begin it', async () => {
  const { sent, hand } = handOf([['a.jpg', 'is known']]);
  await expect(hand.over('a.jpg', () => Promise.reject(new Error('begun')))).rejects.toEqual(new BadFile('is known'));
  expect(sent).toEqual([]);
});

it("whatever a library throws is the file's fault, but for a full disk and the like", async () => {
  const { sent, hand } = handOf();
  await expect(hand.over('a', () => Promise.reject(new RangeError('Invalid array length')))).rejects.toEqual(
    new BadFile('cannot be read: Invalid array length'),
  );
  await expect(
    hand.over('b', () => {
      throw new TypeError('of undefined');
    }),
  ).rejects.toBeInstanceOf(BadFile);
  const full = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
  await expect(hand.over('c', () => Promise.reject(full))).rejects.toBe(full);
  expect(sent.filter(({ kind }) => kind === 'past')).toHaveLength(3);
});
