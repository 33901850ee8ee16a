import { createHash } from 'node:crypto';

/**
 * Which sample a run visits when: every epoch is a shuffle of all of them, drawn from (seed, epoch) alone. A position, counted over all
 * epochs, is all that has to be remembered to go on exactly.
 */
export class SampleOrder {
  private epoch = -1;
  private shuffled: Uint32Array = new Uint32Array(0);

  constructor(
    /** Samples in an epoch. */
    readonly count: number,
    private readonly seed: number,
  ) {}

  /** Index of the sample that position `position` (0, 1, …) visits. */
  at(position: number): number {
    const epoch = Math.floor(position / this.count);
    if (epoch !== this.epoch) {
      this.epoch = epoch;
      this.shuffled = shuffle(this.count, generator(`${this.seed}.${epoch}`));
    }
    return this.shuffled[position % this.count]!;
  }
}

/** Fisher and Yates. */
function shuffle(count: number, next: () => number): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, index) => index);
  for (let last = count - 1; last > 0; last--) {
    const other = below(last + 1, next);
    [order[last], order[other]] = [order[other]!, order[last]!];
  }
  return order;
}

/** 0 … bound - 1, all equally likely: numbers of the last, incomplete round of `bound` are drawn again. */
function below(bound: number, next: () => number): number {
  const rounds = 2 ** 32 - (2 ** 32 % bound);
  for (;;) {
    const drawn = next();
    if (drawn < rounds) return drawn % bound;
  }
}

/** Small fast counting generator (sfc32), 32 bits a call, started from a text's SHA-256. */
function generator(text: string): () => number {
  const digest = createHash('sha256').update(text).digest();
  let [a, b, c, counter] = [digest.readUInt32LE(0), digest.readUInt32LE(4), digest.readUInt32LE(8), 1];
  return () => {
    const drawn = (a + b + counter) >>> 0;
    counter = (counter + 1) >>> 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) >>> 0;
    c = (((c << 21) | (c >>> 11)) + drawn) >>> 0;
    return drawn;
  };
}
