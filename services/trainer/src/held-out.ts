import { createHash } from 'node:crypto';
import { AtelierError, type ISample } from '@atelier/contracts';

const digest = (...words: (string | number)[]): Buffer => createHash('sha256').update(words.join(' ')).digest();

/**
 * Indices of the samples that a run is not trained on but scored by: whole pictures, with all their captions and
 * repeats, those whose digests of (seed, picture key) are the smallest. So the choice is the same on every machine and
 * after every kill, and another picture in the data set moves one in or out, not all. At least one picture is held out
 * and one trained on; throws FAILED_PRECONDITION where there are not two.
 * @param without those that cannot be encoded
 */
export function heldOutOf(
  samples: readonly ISample[],
  { heldOut: share, seed }: { heldOut: number; seed: number },
  without: ReadonlySet<number>,
): number[] {
  if (share === 0) return [];
  const there = samples.flatMap(({ latentsKey }, index) => (without.has(index) ? [] : [{ latentsKey, index }]));
  const keys = [...new Set(there.map(({ latentsKey }) => latentsKey ?? ''))];
  if (keys.length < 2)
    throw new AtelierError(
      'FAILED_PRECONDITION',
      `the data set has ${keys.length} picture, of which none can be held out: train on more, or without a held-out share`,
    );
  const ranked = keys.map((key) => ({ key, rank: digest(seed, key).toString('hex') }));
  ranked.sort((a, b) => (a.rank < b.rank ? -1 : 1));
  const count = Math.min(keys.length - 1, Math.max(1, Math.round(share * keys.length)));
  const chosen = new Set(ranked.slice(0, count).map(({ key }) => key));
  return there.flatMap(({ latentsKey, index }) => (chosen.has(latentsKey ?? '') ? [index] : []));
}

/** Keys the noises that a sample is scored at: by its content, so that they are its own in any data set. */
export const scoreId = ({ latentsKey, promptsKey }: ISample): bigint =>
  digest(latentsKey ?? '', promptsKey ?? '').readBigUInt64LE(0);

/** Of repeats one. */
export function distinct(samples: readonly ISample[], indices: readonly number[]): number[] {
  const seen = new Set<bigint>();
  return indices.filter((index) => {
    const id = scoreId(samples[index]!);
    return seen.has(id) ? false : seen.add(id);
  });
}
