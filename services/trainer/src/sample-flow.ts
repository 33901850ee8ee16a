import { AtelierError, type OnBadSampleName } from '@atelier/contracts';
import type { Sample } from '@atelier/engine';
import { EncodeRefused } from '@atelier/store';
import { Prefetch } from './prefetch';
import type { SampleOrder } from './sample-order';

/** How long a stopping service still waits for a sample that would complete the step in hand. */
const STOP_PATIENCE_MS = 5000;

export interface SampleFlowOptions {
  order: SampleOrder;
  fetch: (index: number, signal: AbortSignal) => Promise<Sample | EncodeRefused>;
  /** Resolves when nothing of a sample is under way in the encoders any more. */
  settled: (index: number, signal: AbortSignal) => Promise<void>;
  /** Samples fetched ahead. */
  depth: number;
  /** Where an earlier try of the run had come to. */
  position?: number;
  skipped?: readonly number[];
  /** "skip": the run goes on without a sample that cannot be encoded; anything else: it fails. */
  onBadSample: OnBadSampleName;
  onSkip: (skipped: number, reason: string) => Promise<void>;
  /** Raised when the run is to end, and when the service is to stop. */
  ended: AbortSignal;
  stopping: AbortSignal;
}

/** The samples that a run trains on, one after the other, without those that could not be encoded. */
export class SampleFlow {
  /** Where the next sample is looked for. */
  position: number;
  /** Indices that are left out. */
  readonly skipped: Set<number>;
  /** Seconds spent waiting in `next`. */
  waited = 0;
  private readonly prefetch: Prefetch<Sample | EncodeRefused>;

  constructor(private readonly options: SampleFlowOptions) {
    this.position = options.position ?? 0;
    this.skipped = new Set(options.skipped);
    this.prefetch = new Prefetch(options.order, options.fetch, {
      depth: options.depth,
      position: this.position,
      skipped: this.skipped,
    });
  }

  /** Throws FAILED_PRECONDITION when the run cannot go on without the sample, or no sample is left; rejects when one of the signals came first. */
  async next(): Promise<Sample> {
    const started = Date.now();
    try {
      for (;;) {
        const { position, index, sample } = await this.unlessInterrupted(this.prefetch.next());
        this.position = position + 1;
        if (!(sample instanceof EncodeRefused)) return sample;
        await this.leaveOut(index, sample.reason);
      }
    } finally {
      this.waited += (Date.now() - started) / 1000;
    }
  }

  /** Waits until the encoders are done with every sample; rejects when one of the signals came first. */
  async settled(): Promise<void> {
    const over = new AbortController();
    const { order, settled } = this.options;
    const all = async (): Promise<void> => {
      for (let index = 0; index < order.count; index++) if (!this.skipped.has(index)) await settled(index, over.signal);
    };
    const waiting = all();
    try {
      await this.unlessInterrupted(waiting);
    } finally {
      over.abort();
      waiting.catch(() => undefined);
    }
  }

  async close(): Promise<void> {
    await this.prefetch.close();
  }

  private async leaveOut(index: number, reason: string): Promise<void> {
    if (this.skipped.has(index)) return;
    const { onBadSample, onSkip, order } = this.options;
    if (onBadSample !== 'skip') {
      throw new AtelierError(
        'FAILED_PRECONDITION',
        `a sample could not be encoded: ${reason}. Replace it, or start the run with on_bad_sample "skip"`,
      );
    }
    this.skipped.add(index);
    if (this.skipped.size >= order.count) {
      throw new AtelierError(
        'FAILED_PRECONDITION',
        `none of the ${order.count} samples could be encoded; the last one: ${reason}. Look at the encoders' reasons and upload the data set again`,
      );
    }
    await onSkip(this.skipped.size, reason);
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
