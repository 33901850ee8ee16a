import type { SampleOrder } from './sample-order';

export interface Visit<T> {
  /** In the order, over all epochs: the next visit is at a larger one. */
  position: number;
  /** Of the sample, in the manifest. */
  index: number;
  sample: T;
}

/**
 * Samples in the order of a run, fetched a fixed number ahead. Whatever the data set's size, no more are held than `depth` and the one
 * that was given out last.
 */
export class Prefetch<T> {
  private readonly underWay: { position: number; index: number; sample: Promise<T> }[] = [];
  private readonly stop = new AbortController();

  constructor(
    private readonly order: SampleOrder,
    private readonly fetch: (index: number, signal: AbortSignal) => Promise<T>,
    private readonly options: {
      depth: number;
      /** Where to begin. */
      position: number;
      /** Indices to leave out; it may grow meanwhile. Not all of them. */
      skipped: ReadonlySet<number>;
    },
  ) {
    this.position = options.position;
    this.fill();
  }

  private position: number;

  /** Waits for the next sample. Rejects with what `fetch` rejects with. */
  async next(): Promise<Visit<T>> {
    const first = this.underWay.shift()!;
    const sample = await first.sample;
    this.fill();
    return { position: first.position, index: first.index, sample };
  }

  /** Gives up what is under way. */
  async close(): Promise<void> {
    this.stop.abort();
    await Promise.allSettled(this.underWay.map(({ sample }) => sample));
  }

  private fill(): void {
    const { depth, skipped } = this.options;
    while (this.underWay.length < depth && skipped.size < this.order.count) {
      const position = this.position++;
      const index = this.order.at(position);
      if (skipped.has(index)) continue;
      const sample = this.fetch(index, this.stop.signal);
      sample.catch(() => undefined); // reported when its turn comes, not as unhandled before
      this.underWay.push({ position, index, sample });
    }
  }
}
