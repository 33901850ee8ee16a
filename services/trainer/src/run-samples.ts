import { Inject, Injectable } from '@nestjs/common';
import { readTrainOptions, toDate, type ISample, type Run } from '@atelier/contracts';
import type { Shape } from '@atelier/engine';
import type { HeldRun } from '@atelier/jobs';
import { LOGGER, Mesh, type Logger } from '@atelier/mesh';
import { TensorArrivals } from '@atelier/store';
import { shapeOf, shapesOf } from './engine-options';
import type { Interruption } from './interruption';
import { SampleFlow, type SampleFlowOptions } from './sample-flow';
import { SampleOrder } from './sample-order';
import { SampleSource } from './sample-source';
import { TrainMetrics } from './train.metrics';
import { TrainerConfig } from './trainer.config';
import type { TrainingState } from './training-state';

/** Clocks of the machine that noted the run and of the one that keeps the events may differ by this much. */
const CLOCK_SKEW_MS = 5000;

/** A run's samples, one after the other, and what shapes they have. */
export class RunSamples extends SampleFlow {
  constructor(
    private readonly all: readonly ISample[],
    options: SampleFlowOptions,
  ) {
    super(options);
  }

  /** Every shape, once. */
  shapes(textTokens: number): Shape[] {
    return shapesOf(this.all, textTokens);
  }

  /** Validation pictures have the size of the first of the data set. */
  pictureShape(textTokens: number): Shape {
    const { width, height } = this.all[0]!;
    return shapeOf(width ?? 0, height ?? 0, textTokens);
  }
}

/** Fetches the samples of runs. */
@Injectable()
export class SampleFetcher {
  constructor(
    private readonly config: TrainerConfig,
    private readonly mesh: Mesh,
    private readonly metrics: TrainMetrics,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /**
   * Runs `work` with the samples of a run; what is on its way when it is over is given up.
   * @param all the manifest's
   * @param saved where an earlier try had come to
   */
  async use<T>(
    held: HeldRun,
    all: readonly ISample[],
    saved: TrainingState | undefined,
    { ended, stopping }: Interruption,
    work: (samples: RunSamples) => Promise<T>,
  ): Promise<T> {
    const { run } = held;
    const { seed, onBadSample } = readTrainOptions(run.options);
    const arrivals = new TensorArrivals(this.mesh, since(run));
    const source = new SampleSource(all, arrivals);
    const samples = new RunSamples(all, {
      order: new SampleOrder(all.length, seed),
      fetch: (index, signal) => source.get(index, signal),
      settled: (index, signal) => source.settled(index, signal),
      depth: this.config.prefetch,
      position: saved?.position,
      skipped: saved?.skipped,
      onBadSample,
      onSkip: async (skipped, reason) => {
        this.logger.warn({ runId: run.id, reason }, 'a sample is left out');
        this.metrics.skipped.inc();
        await held.skipped(skipped);
      },
      ended,
      stopping,
    });
    try {
      return await work(samples);
    } finally {
      await samples.close();
      await arrivals.close();
    }
  }
}

function since({ createdAt }: Run): Date {
  const created = toDate(createdAt);
  return new Date(created ? created.getTime() - CLOCK_SKEW_MS : 0);
}
