/** Lines of a manifest: a run reads it whole. */
const MOST = 100_000;

export interface Proportions {
  readonly times: readonly number[];
  /** What a person should know of it. */
  readonly note?: string;
}

/** The same proportions in the smallest whole numbers: a run counts its steps, not how often it sees all pictures. */
export function proportions(repeats: readonly number[]): Proportions {
  const common = repeats.reduce(greatestCommonDivisor, 0);
  const times = repeats.map((each) => each / (common || 1));
  const total = times.reduce((sum, each) => sum + each, 0);
  if (total <= Math.max(MOST, repeats.length)) return { times };
  const note = `its folders' repeats come to ${total.toLocaleString('en')} samples; they are not used: each picture counts once`;
  return { times: repeats.map(() => 1), note };
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
