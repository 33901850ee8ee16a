import type { Sample } from '@atelier/engine';
import { Prefetch } from './prefetch';
import type { SampleOrder } from './sample-order';

/** How long a stopping service still waits for a sample that would complete the step in hand. */
const STOP_PATIENCE_MS = 5000;

export interface SampleFlowOptions {
  order: SampleOrder;
  fetch: (index: number, signal: AbortSignal) => Promise<Sample>;
  /** Samples fetched ahead. */
  depth: number;
  /** Where an earlier try of the run had come to. */
  position?: number;
  /** Indices that are left out. */
  skipped?: readonly number[];
  /** Raised when the run is to end, and when the service is to stop. */
  ended: AbortSignal;
  stopping: AbortSignal;
}

/** The samples that a run trains on, one after the other, without those that could not be encoded. */
export class SampleFlow {
  /** Where the next sample is looked for. */
  position: number;
  /** Indices that are left out. */
  readonly skipped: ReadonlySet<number>;
  /** Seconds spent waiting in `next`. */
  waited = 0;
  private readonly prefetch: Prefetch<Sample>;

  constructor(protected readonly options: SampleFlowOptions) {
    this.position = options.position ?? 0;
    this.skipped = new Set(options.skipped);
    this.prefetch = new Prefetch(options.order, options.fetch, {
      depth: options.depth,
      position: this.position,
      skipped: this.skipped,
    });
  }

  /** Rejects with what fetching it rejects with, or when one of the signals came first. */
  async next(): Promise<Sample> {
    const started = Date.now();
    try {
      const { position, sample } = await this.unlessInterrupted(this.prefetch.next());
      this.position = position + 1;
      return sample;
    } finally {
      this.waited += (Date.now() - started) / 1000;
    }
  }

  async close(): Promise<void> {
    await this.prefetch.close();
  }

  private async unlessInterrupted<T>(arriving: Promise<T>): Promise<T> {
    const { ended, stopping } = this.options;
    const over = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    const interrupted = new Promise<never>((_, reject) => {
      const end = (): void => reject(ended.reason as Error);
      const stop = (): void =>
        void (timer = setTimeout(() => reject(new Error('the service stops')), STOP_PATIENCE_MS));
      for (const [signal, act] of [
        [ended, end],
        [stopping, stop],
      ] as const) {
        if (signal.aborted) act();
        else signal.addEventListener('abort', act, { once: true, signal: over.signal });
      }
    });
    try {
      return await Promise.race([arriving, interrupted]);
    } finally {
      over.abort();
      clearTimeout(timer);
    }
  }
}
