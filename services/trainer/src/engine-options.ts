import type { Checkpoint } from '@atelier/checkpoint';
import { AtelierError, type CompleteTrainOptions, type ISample } from '@atelier/contracts';
import { engineTrainOptionsOf, type PartialTrainOptions, type Shape } from '@atelier/engine';

const TOKEN_PIXELS = 16;

/** A run's options as the engine takes them, with what belongs to the checkpoint read from its configs. The engine checks the values. */
export function engineOptions(
  options: CompleteTrainOptions,
  { vaeConfig, scheduler }: Checkpoint,
): PartialTrainOptions {
  return {
    ...engineTrainOptionsOf(options),
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
  for (const { width, height } of samples)
    shapes.set(`${width}x${height}`, shapeOf(width ?? 0, height ?? 0, textTokens));
  return [...shapes.values()];
}

/** Throws INVALID_ARGUMENT for sides that are not multiples of 16 pixels. */
export function shapeOf(width: number, height: number, textTokens: number): Shape {
  if (!(width > 0 && height > 0) || width % TOKEN_PIXELS || height % TOKEN_PIXELS) {
    throw new AtelierError(
      'INVALID_ARGUMENT',
      `pictures of ${width} × ${height}: width and height must be positive multiples of ${TOKEN_PIXELS}`,
    );
  }
  return { gridH: height / TOKEN_PIXELS, gridW: width / TOKEN_PIXELS, textTokens };
}
