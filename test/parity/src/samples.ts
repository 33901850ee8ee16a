// The micro-batches of training.safetensors.
import type { PartialTrainOptions, Sample, Shape } from '@atelier/engine';
import type { Fixtures } from './fixtures';
import type { Goldens } from './goldens';
import { gridOf } from './packing';

/** Every micro-batch with its draws given, in the order of the run. */
export function microBatches(goldens: Goldens): Sample[] {
  const [mean, logvar] = [goldens.rows('mean'), goldens.rows('logvar')];
  const [eps, noise] = [goldens.rows('eps'), goldens.rows('noise')];
  const [prompts, pooled] = [goldens.rows('prompt_embeds'), goldens.rows('pooled')];
  const indices = goldens.integers('timestep_index');
  return goldens.integers('order').map((sample, i) => ({
    mean: mean[sample]!.data,
    logvar: logvar[sample]!.data,
    eps: eps[i]!.data,
    noise: noise[i]!.data,
    timestepIndex: indices[i],
    shape: { ...gridOf(mean[sample]!), textTokens: prompts[sample]!.shape[0]! },
    promptEmbeds: prompts[sample]!.data,
    pooled: pooled[sample]!.data,
    sampleId: sample,
  }));
}

/** The run's options but for its optimizer. */
export function runOptions({ settings, checkpoint }: Fixtures): PartialTrainOptions {
  const { rank, alpha, targets, accumulation, clip, training } = settings;
  const { scheduler, vaeConfig } = checkpoint;
  const { lr, beta1, beta2, eps, ...others } = training;
  return {
    ...others,
    learningRate: lr,
    adamBeta1: beta1,
    adamBeta2: beta2,
    adamEpsilon: eps,
    rank,
    alpha,
    targets,
    accumulation,
    maxGradNorm: clip,
    lrSchedule: 'constant',
    weighting: 'none',
    vaeScaling: vaeConfig.scalingFactor,
    vaeShift: vaeConfig.shiftFactor,
    dynamicShifting: scheduler.dynamicShifting,
    shift: scheduler.shift,
    numTrainTimesteps: scheduler.numTrainTimesteps,
  };
}

export function shapesOf(samples: readonly Sample[]): Shape[] {
  return [...new Map(samples.map(({ shape }) => [Object.values(shape).join(), shape])).values()];
}
