// Single steps of the computation, each the engine's own.
import type { SchedulerConfig, Tensor } from '@atelier/checkpoint';
import type { LrScheduleKindName, WeightingName } from '@atelier/contracts';
import { type Call, type Engine, native, type OptimizerKind } from '@atelier/engine';
import type { Nf4Quantized, OptimizerHandle, OptimizerRates, TestingAddon } from './testing-addon';

const { run } = native;
const runNow = <Result>(call: (addon: TestingAddon) => Result) => native.runNow((addon) => call(addon as TestingAddon));

/** NF4 in blocks of 64 over the row-major values, as bitsandbytes. */
export function quantizeNf4(
  values: Float32Array,
  { doubleQuant = false }: { doubleQuant?: boolean } = {},
): Nf4Quantized {
  return runNow((addon) => addon.nf4Quantize(values, doubleQuant));
}

export function dequantizeNf4(quantized: Nf4Quantized, count: number): Float32Array {
  return runNow((addon) => addon.nf4Dequantize(quantized, count));
}

/** The 256 values of bitsandbytes' 8-bit dynamic map. */
export function dynamicMap(signed: boolean): Float32Array {
  return runNow((addon) => addon.dynamicMap(signed));
}

/** The 16 values of NF4. */
export function nf4Code(): Float32Array {
  return runNow((addon) => addon.nf4Code());
}

/** Factors of the learning rate, one an optimizer step, as diffusers' get_scheduler gives them. */
export function lrSchedule(
  kind: LrScheduleKindName,
  options: { warmup: number; total: number; cycles?: number; power?: number },
): Float64Array {
  return runNow((addon) =>
    addon.lrSchedule(kind, options.warmup, options.total, options.cycles ?? 1, options.power ?? 1),
  );
}

/** The loss's weight at a sigma: none, sigma_sqrt or cosmap; logit_normal and mode weigh by how timesteps are drawn, so 1. */
export function lossWeight(weighting: WeightingName, sigma: number): number {
  return runNow((addon) => addon.lossWeight(weighting, sigma));
}

/** The sigmas of a picture with so many image tokens, `steps` and a final 0, and the shift they were given. */
export function inferenceSigmas(
  steps: number,
  imageTokens: number,
  scheduler: SchedulerConfig,
): { sigmas: Float32Array; mu: number } {
  return runNow((addon) => addon.inferenceSigmas(steps, imageTokens, scheduler));
}

/** y = x · Wᵀ + b with a linear of a file that bitsandbytes quantised: tensors `prefix`.weight, `prefix`.weight.absmax, … */
export function prequantizedLinear(
  engine: Engine,
  file: string,
  prefix: string,
  x: Tensor,
  call?: Call,
): Promise<Tensor> {
  return run(call, (addon, options) =>
    (addon as TestingAddon).prequantizedLinear(engine.handle, file, prefix, x, options),
  );
}

/** An optimizer over one tensor. */
export class Optimizer extends native.Loaded<OptimizerHandle> {
  static create(kind: OptimizerKind, count: number, rates: OptimizerRates): Optimizer {
    return new Optimizer(runNow((addon) => addon.createOptimizer(kind, count, rates)));
  }

  /** @returns the parameter after one update */
  step(param: Float32Array, grad: Float32Array): Float32Array {
    return runNow((addon) => addon.optimizerStep(this.handle, param, grad));
  }

  /** float32 states by name, and codes of 8-bit ones. */
  states(): { values: Record<string, Tensor>; codes: Record<string, Uint8Array> } {
    return runNow((addon) => addon.optimizerStates(this.handle));
  }
}
