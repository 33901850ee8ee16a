import { Injectable } from '@nestjs/common';
import { readTrainOptions, type IPictureTable, type ISample } from '@atelier/contracts';
import type { Sample, Shape } from '@atelier/engine';
import type { HeldRun } from '@atelier/jobs';
import { Mesh, throughOutage } from '@atelier/mesh';
import { TensorStore } from '@atelier/store';
import { datasetDigest } from './adapter-words';
import { shapeOf, shapesOf } from './engine-options';
import { distinct, heldOutOf, scoreId } from './held-out';
import type { Interruption } from './interruption';
import { PictureLosses } from './picture-losses';
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
    /** How those fare that it is trained on. */
    readonly losses = PictureLosses.from(),
    /** Indices of those that it is scored by, each picture and caption once. */
    readonly heldOut: readonly number[] = [],
  ) {
    super(options);
  }

  /** One of those that it is scored by, under the id that keys its noises. */
  async heldOutSample(index: number): Promise<Sample> {
    const { fetch, ended } = this.options;
    return { ...(await fetch(index, ended)), sampleId: scoreId(this.all[index]!) };
  }

  /** Indices of those that it is trained on, each picture and caption once. */
  get trained(): number[] {
    const all = this.all.map((_, index) => index).filter((index) => !this.skipped.has(index));
    return distinct(this.all, all);
  }

  /** With an id of the picture alone: under any caption it is scored at the same noises. */
  async pictureSample(index: number): Promise<Sample> {
    const { fetch, ended } = this.options;
    return { ...(await fetch(index, ended)), sampleId: scoreId({ latentsKey: this.all[index]!.latentsKey }) };
  }

  haveOneCaption(a: number, b: number): boolean {
    return this.all[a]!.promptsKey === this.all[b]!.promptsKey;
  }

  pictureTable(step: number): IPictureTable {
    return this.losses.table(this.all, step);
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
    const options = readTrainOptions(run.options);
    // What 0.1.0 left out as it came to it stands in the training state alone.
    const leftOut = new Set([...run.leftOut, ...(saved?.skipped ?? [])]);
    const heldOut = heldOutOf(all, options, new Set(run.leftOut));
    const flow: SampleFlowOptions = {
      order: new SampleOrder(all.length, options.seed),
      fetch: (index, signal) => source.get(index, signal),
      depth: this.config.prefetch,
      position: saved?.position,
      skipped: [...leftOut, ...heldOut],
      ended,
      stopping,
    };
    const samples = new RunSamples(all, flow, PictureLosses.from(saved?.pictures), distinct(all, heldOut));
    try {
      return await work(samples);
    } finally {
      await samples.close();
    }
  }
}
