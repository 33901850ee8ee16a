/**
 * Compares 8-bit codes of a dynamic map. They must be equal, but for values that lie so near the middle between two codes that
 * rounding decides: those may be one code apart.
 * @param exact what was quantised, divided by its block's largest magnitude
 * @returns what is wrong, or nothing
 */
export function codesDiffer(
  got: ArrayLike<number>,
  expected: ArrayLike<number>,
  map: Float32Array,
  exact: (index: number) => number,
): string {
  if (got.length !== expected.length) return `${got.length} codes instead of ${expected.length}`;
  for (let i = 0; i < expected.length; i++) {
    if (got[i] === expected[i]) continue;
    const middle = (map[got[i]!]! + map[expected[i]!]!) / 2;
    const near = Math.abs(exact(i) - middle) <= 1e-5 * Math.abs(middle) + 1e-6;
    if (Math.abs(got[i]! - expected[i]!) > 1 || !near) return `code ${i} is ${got[i]} instead of ${expected[i]}`;
  }
  return '';
}
