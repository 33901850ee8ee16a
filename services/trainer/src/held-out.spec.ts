import type { ISample } from '@atelier/contracts';
import { distinct, heldOutOf, scoreId } from './held-out';

const samples = (count: number): ISample[] =>
  Array.from({ length: count }, (_, i) => ({ name: `s${i}`, latentsKey: `l${i}`, promptsKey: `p${i}` }));
const none = new Set<number>();

describe('a held-out share', () => {
  it('is that share of the pictures, of each seed its own, wherever they stand', () => {
    const all = samples(28);
    const held = heldOutOf(all, { heldOut: 0.1, seed: 0 }, none);
    expect(held).toHaveLength(3);
    expect(heldOutOf(all, { heldOut: 0.1, seed: 0 }, none)).toEqual(held);
    expect(heldOutOf(all, { heldOut: 0.1, seed: 1 }, none)).not.toEqual(held);
    const keys = new Set(held.map((index) => all[index]!.latentsKey));
    const turned = [...all].reverse();
    const again = heldOutOf(turned, { heldOut: 0.1, seed: 0 }, none);
    expect(new Set(again.map((index) => turned[index]!.latentsKey))).toEqual(keys);
  });

  it('changes by one picture at most where one comes to the data set', () => {
    const before = new Set(heldOutOf(samples(40), { heldOut: 0.25, seed: 3 }, none));
    const after = heldOutOf(samples(41), { heldOut: 0.25, seed: 3 }, none);
    expect(after.filter((index) => !before.has(index)).length).toBeLessThanOrEqual(1);
  });

  it('is at least one picture, and leaves at least one', () => {
    expect(heldOutOf(samples(2), { heldOut: 0.01, seed: 0 }, none)).toHaveLength(1);
    expect(heldOutOf(samples(3), { heldOut: 0.99, seed: 0 }, none)).toHaveLength(2);
    expect(heldOutOf(samples(3), { heldOut: 0, seed: 0 }, none)).toEqual([]);
    const alone = () => heldOutOf(samples(1), { heldOut: 0.1, seed: 0 }, none);
    expect(alone).toThrow('none can be held out');
    expect(() => heldOutOf(samples(2), { heldOut: 0.5, seed: 0 }, new Set([1]))).toThrow('none can be held out');
  });

  it('is of whole pictures: all captions and repeats of one go together, and each is scored once', () => {
    const all = samples(10).flatMap((sample) => [sample, { ...sample, promptsKey: `${sample.promptsKey}-b` }, sample]);
    const held = heldOutOf(all, { heldOut: 0.2, seed: 0 }, none);
    expect(held).toHaveLength(6);
    expect(new Set(held.map((index) => all[index]!.latentsKey)).size).toBe(2);
    expect(distinct(all, held)).toHaveLength(4);
    expect(scoreId(all[0]!)).toBe(scoreId(all[2]!));
    expect(scoreId(all[0]!)).not.toBe(scoreId(all[1]!));
  });

  it('has none of those that cannot be encoded', () => {
    const held = heldOutOf(samples(10), { heldOut: 0.5, seed: 0 }, none);
    const without = new Set(held.slice(0, 2));
    for (const index of heldOutOf(samples(10), { heldOut: 0.5, seed: 0 }, without))
      expect(without).not.toContain(index);
  });
});
