/**
 * Works on up to `ahead` items at a time and yields results in the order of the source. Memory holds no more than
 * `ahead` items: the source is asked for the next one only when a result has been taken.
 */
export async function* inOrder<T, R>(
  source: AsyncIterable<T>,
  ahead: number,
  work: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const running: Promise<R>[] = [];
  try {
    for await (const item of source) {
      const result = work(item);
      result.catch(() => undefined); // it is reported when its turn comes, not as unhandled before
      running.push(result);
      if (running.length >= ahead) yield await running.shift()!;
    }
    while (running.length > 0) yield await running.shift()!;
  } finally {
    await Promise.allSettled(running);
  }
}

/** `inOrder` over a list, results gathered. */
export async function mapConcurrently<T, R>(
  items: readonly T[],
  concurrency: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  for await (const result of inOrder(asAsync(items), concurrency, work)) results.push(result);
  return results;
}

async function* asAsync<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}
