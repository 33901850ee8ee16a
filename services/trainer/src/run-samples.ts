import { Injectable } from '@nestjs/common';
import { readTrainOptions, type ISample } from '@atelier/contracts';
import type { Shape } from '@atelier/engine';
import type { HeldRun } from '@atelier/jobs';
import { Mesh, throughOutage } from '@atelier/mesh';
import { TensorStore } from '@atelier/store';
import { datasetDigest } from './adapter-words';
import { shapeOf, shapesOf } from './engine-options';
import type { Interruption } from './interruption';
import { SampleFlow, type SampleFlowOptions } from './sample-flow';
import { SampleOrder } from './sample-order';
import { SampleSource } from './sample-source';
import { TrainerConfig } from './trainer.config';
import type { TrainingState } from './training-state';

/** A run's samples, one after the other, and what shapes they have. */
export class RunSamples extends SampleFlow {
  constructor(
    private readonly all: readonly ISample[],
    options: SampleFlowOptions,
  ) {
    super(options);
  }

  /** Of all of them, by content. */
  get digest(): string {
    return datasetDigest(this.all);
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
  private readonly tensors: TensorStore;

  constructor(
    private readonly config: TrainerConfig,
    mesh: Mesh,
  ) {
    this.tensors = new TensorStore(mesh, throughOutage);
  }

  /**
   * Runs `work` with the samples of a run; what is on its way when it is over is given up.
   * @param all the manifest's
   * @param saved where an earlier try had come to
   */
  async use<T>(
    { run }: HeldRun,
    all: readonly ISample[],
    saved: TrainingState | undefined,
    { ended, stopping }: Interruption,
    work: (samples: RunSamples) => Promise<T>,
  ): Promise<T> {
    const source = new SampleSource(all, this.tensors);
    const samples = new RunSamples(all, {
      order: new SampleOrder(all.length, readTrainOptions(run.options).seed),
      fetch: (index, signal) => source.get(index, signal),
      depth: this.config.prefetch,
      position: saved?.position,
      // What 0.1.0 left out as it came to it stands in the training state alone.
      skipped: [...new Set([...run.leftOut, ...(saved?.skipped ?? [])])],
      ended,
      stopping,
    });
    try {
      return await work(samples);
    } finally {
      await samples.close();
    }
  }
}
