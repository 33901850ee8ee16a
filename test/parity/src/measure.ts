// How far a computed tensor is from a golden.

export interface Distance {
  /** Largest difference; Infinity for a NaN or another number of values. */
  absolute: number;
  /** Largest difference over the largest expected magnitude. */
  relative: number;
  /** Norm of the difference over the norm of what is expected. One large value cannot hide errors in the others here. */
  rms: number;
}

export const NO_DISTANCE: Distance = { absolute: 0, relative: 0, rms: 0 };
export const FAR: Distance = { absolute: Infinity, relative: Infinity, rms: Infinity };

export function distance(got: ArrayLike<number>, expected: ArrayLike<number>): Distance {
  if (got.length !== expected.length) return FAR;
  let absolute = 0;
  let largest = 0;
  let differences = 0;
  let squares = 0;
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs(got[i]! - expected[i]!);
    if (!(difference <= absolute)) absolute = Number.isNaN(difference) ? Infinity : difference;
    largest = Math.max(largest, Math.abs(expected[i]!));
    differences += difference * difference;
    squares += expected[i]! * expected[i]!;
  }
  if (!Number.isFinite(absolute) || !Number.isFinite(largest)) return FAR;
  return { absolute, relative: share(absolute, largest), rms: share(Math.sqrt(differences), Math.sqrt(squares)) };
}

/** Zeros are met exactly or not at all. */
function share(part: number, whole: number): number {
  return part === 0 ? 0 : part / whole;
}

export function worst(a: Distance, b: Distance): Distance {
  return {
    absolute: Math.max(a.absolute, b.absolute),
    relative: Math.max(a.relative, b.relative),
    rms: Math.max(a.rms, b.rms),
  };
}
