// Single steps of the computation, each the engine's own, for checks and for previews (a learning-rate curve needs no model).
import type { SchedulerConfig, Tensor } from '@atelier/checkpoint';
import type { LrScheduleKindName, WeightingName } from '@atelier/contracts';
import type { ComponentReport, Nf4Quantized, OptimizerHandle, OptimizerKind, OptimizerRates } from './addon';
import { type Call, run, runNow } from './call';
import { Loaded } from './loaded';

/** NF4 in blocks of 64 over the row-major values, as bitsandbytes. */
export function quantizeNf4(
  values: Float32Array,
  { doubleQuant = false }: { doubleQuant?: boolean } = {},
): Nf4Quantized {
  return runNow((native) => native.nf4Quantize(values, doubleQuant));
}

export function dequantizeNf4(quantized: Nf4Quantized, count: number): Float32Array {
  return runNow((native) => native.nf4Dequantize(quantized, count));
}

/** The 256 values of bitsandbytes' 8-bit dynamic map. */
export function dynamicMap(signed: boolean): Float32Array {
  return runNow((native) => native.dynamicMap(signed));
}

/** The 16 values of NF4. */
export function nf4Code(): Float32Array {
  return runNow((native) => native.nf4Code());
}

/** Factors of the learning rate, one an optimizer step, as diffusers' get_scheduler gives them. */
export function lrSchedule(
  kind: LrScheduleKindName,
  options: { warmup: number; total: number; cycles?: number; power?: number },
): Float64Array {
  return runNow((native) =>
    native.lrSchedule(kind, options.warmup, options.total, options.cycles ?? 1, options.power ?? 1),
  );
}

/** The loss's weight at a sigma: none, sigma_sqrt or cosmap; logit_normal and mode weigh by how timesteps are drawn, so 1. */
export function lossWeight(weighting: WeightingName, sigma: number): number {
  return runNow((native) => native.lossWeight(weighting, sigma));
}

/** The sigmas of a picture with so many image tokens, `steps` and a final 0, and the shift they were given. */
export function inferenceSigmas(
  steps: number,
  imageTokens: number,
  scheduler: SchedulerConfig,
): { sigmas: Float32Array; mu: number } {
  return runNow((native) => native.inferenceSigmas(steps, imageTokens, scheduler));
}

/** Per component of a checkpoint its tensors, bytes and dtype. Rejects with what loading would say. */
export function inspectCheckpoint(dir: string, call?: Call): Promise<ComponentReport[]> {
  return run(call, (native, options) => native.inspectCheckpoint(dir, options));
}

/** An optimizer over one tensor. */
export class Optimizer extends Loaded<OptimizerHandle> {
  static create(kind: OptimizerKind, count: number, rates: OptimizerRates): Optimizer {
    return new Optimizer(runNow((native) => native.createOptimizer(kind, count, rates)));
  }

  /** @returns the parameter after one update */
  step(param: Float32Array, grad: Float32Array): Float32Array {
    return runNow((native) => native.optimizerStep(this.handle, param, grad));
  }

  /** float32 states by name, and codes of 8-bit ones. */
  states(): { values: Record<string, Tensor>; codes: Record<string, Uint8Array> } {
    return runNow((native) => native.optimizerStates(this.handle));
  }
}
