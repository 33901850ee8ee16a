const LONGEST_MS = 3_600_000;
const DAY_MS = 24 * LONGEST_MS;
/** An event that is a day old when it is tried for the first time, since no gateway ran, has so many tries all the same. */
const FEWEST_TRIES = 5;

/**
 * How long after a failed try the next one comes: three times as long as before, up to an hour, and a fifth more or
 * less, so that what failed together is not tried together. Undefined: it is given up.
 * @param tries so far
 * @param random from 0 to 1
 */
export function nextTry(
  { tries, ageMs, firstMs }: { tries: number; ageMs: number; firstMs: number },
  random = Math.random(),
): number | undefined {
  if (ageMs >= DAY_MS && tries >= FEWEST_TRIES) return undefined;
  const pause = Math.min(LONGEST_MS, firstMs * 3 ** Math.min(tries - 1, 20));
  return Math.round(pause * (0.8 + 0.4 * random));
}
