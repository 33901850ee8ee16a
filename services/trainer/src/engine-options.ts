import type { Checkpoint } from '@atelier/checkpoint';
import { AtelierError, type ISample, type ITrainOptions } from '@atelier/contracts';
import type { BaseQuant, OptimizerKind, PartialTrainOptions, Shape } from '@atelier/engine';

const QUANTS: readonly BaseQuant[] = ['none', 'nf4', 'nf4_double'];
const TOKEN_PIXELS = 16;

/** How a run keeps the frozen weights. Throws INVALID_ARGUMENT. */
export function quantOf(options: ITrainOptions): BaseQuant {
  const quant = QUANTS.find((known) => known === options.quant);
  if (!quant) throw new AtelierError('INVALID_ARGUMENT', `quant is ${JSON.stringify(options.quant ?? '')}: choose one of ${QUANTS.join(', ')}`);
  return quant;
}

/** A run's options as the engine takes them, with what belongs to the checkpoint read from its configs. The engine checks the values. */
export function engineOptions(options: ITrainOptions, { vaeConfig, scheduler }: Checkpoint): PartialTrainOptions {
  if (!options.totalSteps) throw new AtelierError('INVALID_ARGUMENT', 'total_steps is 0: expected at least 1');
  return {
    rank: options.rank ?? undefined,
    alpha: options.alpha ?? undefined,
    targets: options.targets ?? undefined,
    recompute: options.recompute ?? undefined,
    optimizer: (options.optimizer ?? undefined) as OptimizerKind | undefined,
    lr: options.learningRate ?? undefined,
    weightDecay: options.weightDecay ?? undefined,
    maxGradNorm: options.maxGradNorm ?? undefined,
    accumulation: options.accumulation ?? undefined,
    lrSchedule: options.lrSchedule ?? undefined,
    warmupSteps: options.warmupSteps ?? undefined,
    totalSteps: options.totalSteps,
    weighting: options.weighting ?? undefined,
    logitMean: options.logitMean ?? undefined,
    logitStd: options.logitStd ?? undefined,
    modeScale: options.modeScale ?? undefined,
    guidance: options.guidance ?? undefined,
    seed: options.seed ?? undefined,
    vaeScaling: vaeConfig.scalingFactor,
    vaeShift: vaeConfig.shiftFactor,
    dynamicShifting: scheduler.dynamicShifting,
    shift: scheduler.shift,
    numTrainTimesteps: scheduler.numTrainTimesteps,
  };
}

/** Every shape that the samples have, once. */
export function shapesOf(samples: readonly ISample[], textTokens: number): Shape[] {
  const shapes = new Map<string, Shape>();
  for (const { width, height } of samples) shapes.set(`${width}x${height}`, shapeOf(width ?? 0, height ?? 0, textTokens));
  return [...shapes.values()];
}

/** Throws INVALID_ARGUMENT for sides that are not multiples of 16 pixels. */
export function shapeOf(width: number, height: number, textTokens: number): Shape {
  if (!(width > 0 && height > 0) || width % TOKEN_PIXELS || height % TOKEN_PIXELS) {
    throw new AtelierError('INVALID_ARGUMENT', `pictures of ${width} × ${height}: width and height must be positive multiples of ${TOKEN_PIXELS}`);
  }
  return { gridH: height / TOKEN_PIXELS, gridW: width / TOKEN_PIXELS, textTokens };
}
