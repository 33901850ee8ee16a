// What the tests' addon, native/build/addon/atelier_testing.node, has beside the shipped surface: name by name as
// native/addon/testing/module.cpp exports it. tools/check-surface.mjs compares the two. Nothing but pieces.ts and models.ts calls it.
import { dirname, join } from 'node:path';
import type { SchedulerConfig, Tensor } from '@atelier/checkpoint';
import type { LrScheduleKindName, WeightingName } from '@atelier/contracts';
import { addonPaths, type native, type OptimizerKind } from '@atelier/engine';

export type OptimizerHandle = native.Handle<'Optimizer'>;

export interface ForwardInput {
  /** (gridH · gridW, inChannels), packed. */
  latents: Float32Array;
  gridH: number;
  gridW: number;
  /** timestep / 1000. */
  sigma: number;
  /** Ignored by models without a guidance embedding. */
  guidance: number;
  /** (text tokens, jointDim). */
  promptEmbeds: Float32Array;
  /** (pooledDim). */
  pooled: Float32Array;
  /** Also give every block's output. */
  captureBlocks: boolean;
}

/** LoRA weights of one module: its linear's output grows by (alpha / rank) · b · a · x. */
export interface AdapterModule {
  rank: number;
  in: number;
  out: number;
  alpha: number;
  /** (rank, in). */
  a: Float32Array;
  /** (out, rank). */
  b: Float32Array;
}

export interface AdapterContent {
  modules: Record<string, AdapterModule>;
  metadata: Record<string, string>;
}

export interface Nf4Quantized {
  /** Two codes a byte, the first in the high half. */
  packed: Uint8Array;
  /** Scales of blocks of 64; with double quantisation empty, and the next three instead. */
  absmax: Float32Array;
  absmax8: Uint8Array;
  nestedAbsmax: Float32Array;
  nestedOffset: number;
}

export interface OptimizerRates {
  lr: number;
  beta1: number;
  beta2: number;
  eps: number;
  weightDecay: number;
}

export interface TestingAddon extends native.Addon {
  randomTransformer(
    device: native.DeviceHandle,
    dims: native.TransformerDims,
    quant: native.BaseQuant,
    seed: bigint,
    call?: native.NativeCall,
  ): Promise<native.LoadedTransformer>;
  transformerForward(
    transformer: native.TransformerHandle,
    input: ForwardInput,
    call?: native.NativeCall,
  ): Promise<Record<string, Tensor>>;
  trainerGradients(trainer: native.TrainerHandle, call?: native.NativeCall): Promise<Record<string, Tensor>>;
  trainerLastPrediction(trainer: native.TrainerHandle, call?: native.NativeCall): Promise<Tensor>;
  trainerSetAdapter(
    trainer: native.TrainerHandle,
    adapter: native.AdapterHandle,
    call?: native.NativeCall,
  ): Promise<void>;

  createAdapter(modules: Record<string, AdapterModule>, metadata: Record<string, string>): native.AdapterHandle;
  adapterContent(adapter: native.AdapterHandle): AdapterContent;

  createOptimizer(kind: OptimizerKind, count: number, rates: OptimizerRates): OptimizerHandle;
  optimizerStep(optimizer: OptimizerHandle, param: Float32Array, grad: Float32Array): Float32Array;
  optimizerStates(optimizer: OptimizerHandle): { values: Record<string, Tensor>; codes: Record<string, Uint8Array> };

  nf4Quantize(values: Float32Array, doubleQuant: boolean): Nf4Quantized;
  nf4Dequantize(quantized: Nf4Quantized, count: number): Float32Array;
  dynamicMap(signed: boolean): Float32Array;
  nf4Code(): Float32Array;
  lrSchedule(kind: LrScheduleKindName, warmup: number, total: number, cycles: number, power: number): Float64Array;
  lossWeight(weighting: WeightingName, sigma: number): number;
  inferenceSigmas(steps: number, imageTokens: number, scheduler: SchedulerConfig): { sigmas: Float32Array; mu: number };
  prequantizedLinear(
    device: native.DeviceHandle,
    file: string,
    prefix: string,
    x: Tensor,
    call?: native.NativeCall,
  ): Promise<Tensor>;
}

/**
 * Makes the engine of this process the tests' own, which stands beside the shipped one. Before the first call of the engine: one process
 * has one addon, so that what either makes the other may take.
 */
export function useTestingAddon(): void {
  process.env.ATELIER_ADDON_PATH = join(dirname(addonPaths()[0]!), 'atelier_testing.node');
}
