/**
 * libvips keeps what went wrong in one place for all that is decoded at once: a picture that fails beside others may be told their
 * error, or none. So one that fails is decoded once more with nothing beside it, and what that says is its own.
 */
const running = new Set<Promise<unknown>>();
let alone: Promise<unknown> | undefined;

/** Beside others. */
export async function together<T>(work: () => Promise<T>): Promise<T> {
  while (alone) await alone;
  const mine = work();
  const settled = mine.then(noop, noop);
  running.add(settled);
  try {
    return await mine;
  } finally {
    running.delete(settled);
  }
}

/** Beside others; should that fail, with nothing beside it: that result or error is the one that counts. */
export async function withItsOwnError<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await together(work);
  } catch {
    while (alone) await alone;
    const mine = Promise.all(running).then(work);
    const settled = mine.then(noop, noop);
    alone = settled;
    try {
      return await mine;
    } finally {
      if (alone === settled) alone = undefined;
    }
  }
}

function noop(): void {}
