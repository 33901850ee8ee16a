/** Pseudo-random numbers below 1 from a seed (mulberry32), so that what was found can be found again. */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const TELLING = [0, 1, 0x7f, 0x80, 0xff];

/**
 * A copy with one to eight changes: bits, telling bytes and lengths, pieces cut out, doubled or swapped, an end cut
 * off.
 */
export function mutate(bytes: Buffer, next: () => number): Buffer {
  const below = (limit: number) => Math.floor(next() * limit);
  let mutated = Buffer.from(bytes);
  for (let changes = 1 + below(8); changes > 0 && mutated.length > 8; changes -= 1) {
    const at = below(mutated.length - 4);
    const end = Math.min(mutated.length, at + 1 + below(64));
    switch (below(7)) {
      case 0:
        mutated[at]! ^= 1 << below(8);
        break;
      case 1:
        mutated[at] = TELLING[below(TELLING.length)]!;
        break;
      case 2:
        mutated.writeUInt32LE(next() < 0.5 ? below(2 ** 32) : 0xffffffff, at);
        break;
      case 3:
        mutated = Buffer.concat([mutated.subarray(0, at), mutated.subarray(end)]);
        break;
      case 4:
        mutated = Buffer.concat([mutated.subarray(0, end), mutated.subarray(at)]);
        break;
      case 5:
        mutated.copyWithin(at, below(mutated.length - 4), below(mutated.length));
        break;
      default:
        if (next() < 0.2) mutated = mutated.subarray(0, at);
    }
  }
  return mutated;
}
