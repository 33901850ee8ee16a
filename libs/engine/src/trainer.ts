import { engineTrainOptions, type CompleteTrainOptions, type EngineTrainOption } from '@atelier/contracts';
import { Adapter } from './adapter';
import type { MemoryPlan, MicroResult, NativeSample, StepResult, TrainerHandle, TrainOptions } from './addon';
import { type Call, run } from './call';
import { Loaded } from './loaded';
import { u64 } from './u64';

/** Training options; what is left out has the default that proto/ declares. */
export type PartialTrainOptions = Omit<TrainOptions, 'seed'> & { seed?: bigint | number };

/** Of a run's options those that the engine's trainer takes. */
export function engineTrainOptionsOf(options: CompleteTrainOptions): Pick<CompleteTrainOptions, EngineTrainOption> {
  const entries = engineTrainOptions.map((key) => [key, options[key]]);
  return Object.fromEntries(entries) as Pick<CompleteTrainOptions, EngineTrainOption>;
}

/** @internal */
export function nativeOptions({ seed, ...options }: PartialTrainOptions): TrainOptions {
  return { ...options, seed: seed === undefined ? undefined : u64(seed, 'seed') };
}

/** One cached sample. eps, noise and timestepIndex are drawn from (seed, sampleId, micro-step) unless given. */
export type Sample = Omit<NativeSample, 'sampleId'> & { sampleId: bigint | number };

/** Trains one adapter: accumulation micro-steps, then optimizerStep. Made by Transformer.createTrainer. */
export class Trainer extends Loaded<TrainerHandle> {
  private highWater = 0;
  private steps = 0;

  /** @internal */
  constructor(
    handle: TrainerHandle,
    /** What this trainer reserved; it takes nothing more later. */
    readonly memoryPlan: MemoryPlan,
  ) {
    super(handle);
  }

  /** The most bytes of the arena that steps so far have touched; equals memoryPlan.arenaBytes after a step of the largest shape. */
  get arenaHighWater(): number {
    return this.highWater;
  }

  /** Optimizer steps taken, those before a loaded state included. */
  get step(): number {
    return this.steps;
  }

  /** Forward and backward of one sample: adds the gradients of loss / accumulation. Cancelling leaves the trainer usable only for loadState and dispose. */
  async microStep(sample: Sample, call?: Call): Promise<MicroResult> {
    return (await this.microSteps([sample], call))[0]!;
  }

  /**
   * Micro-steps of several samples, with the bits of one after the other. Neighbours of one shape pass the model together, up to
   * memoryPlan.choice.together of them: where weights are fetched for each use, that many at a time are the fastest.
   */
  async microSteps(samples: readonly Sample[], call?: Call): Promise<MicroResult[]> {
    const { results, arenaHighWater } = await run(call, async (native, options) =>
      native.trainerMicroSteps(
        this.handle,
        samples.map((sample) => ({ ...sample, sampleId: u64(sample.sampleId, 'sampleId') })),
        options,
      ),
    );
    this.highWater = arenaHighWater;
    return results;
  }

  /**
   * The sample's loss, unweighted, at `pairs` noise levels and noises that (seed, sampleId) decide: no sampling noise.
   * Forward alone, within the plan; nothing of the run changes, and cancelled it goes on.
   */
  score(sample: Sample, pairs: number, call?: Call): Promise<MicroResult[]> {
    return run(call, (native, options) =>
      native.trainerScore(this.handle, { ...sample, sampleId: u64(sample.sampleId, 'sampleId') }, pairs, options),
    );
  }

  /** Clips the accumulated gradients, updates the adapter and clears them. */
  async optimizerStep(call?: Call): Promise<StepResult> {
    const result = await run(call, (native, options) => native.trainerOptimizerStep(this.handle, options));
    this.steps = result.step;
    return result;
  }

  /** A copy of the weights as they are now. */
  async adapter(call?: Call): Promise<Adapter> {
    return new Adapter(await run(call, (native, options) => native.trainerAdapter(this.handle, options)));
  }

  /** Of a run with an emaDecay: the moving average of the weights. */
  async average(call?: Call): Promise<Adapter> {
    return new Adapter(await run(call, (native, options) => native.trainerAverage(this.handle, options)));
  }

  /** Everything that resumes the run bit for bit: weights, optimizer states and counters, as safetensors bytes. */
  saveState(call?: Call): Promise<Uint8Array> {
    return run(call, (native, options) => native.trainerSaveState(this.handle, options));
  }

  /** Continues from saveState of a trainer with the same options. */
  async loadState(state: Uint8Array, call?: Call): Promise<void> {
    this.steps = await run(call, (native, options) => native.trainerLoadState(this.handle, state, options));
  }
}
