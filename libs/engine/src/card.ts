// Plans for cards that need not be here: from sizes alone, without weights.
import type { BaseQuant, TransformerDims, MemoryPlan, Shape } from './addon';
import { type Call, run, runNow } from './call';
import { nativeOptions, type PartialTrainOptions } from './trainer';

export const FLUX_DEV_DIMS: Readonly<TransformerDims> = {
  inChannels: 64,
  outChannels: 64,
  numLayers: 19,
  numSingleLayers: 38,
  heads: 24,
  headDim: 128,
  jointDim: 4096,
  pooledDim: 768,
  guidance: true,
  axesDims: [16, 56, 56],
};

export interface CardRun {
  /** Default: FLUX.1-dev's. */
  dims?: TransformerDims;
  quant: BaseQuant;
  /** memoryBudget is the card's; without one, as much as `recompute` asks for. */
  options: PartialTrainOptions;
  shapes: readonly Shape[];
  /** One of cardNames(). */
  card: string;
}

/**
 * What a run would take on a card, and how long a micro-step would by the card's published rates: nothing is measured. Rejects with
 * RESOURCE_EXHAUSTED, naming the smallest budget that works.
 */
export function planOnCard(
  { dims = FLUX_DEV_DIMS, quant, options, shapes, card }: CardRun,
  call?: Call,
): Promise<MemoryPlan> {
  return run(call, async (native, callOptions) =>
    native.planOnCard(dims, quant, nativeOptions(options), [...shapes], card, callOptions),
  );
}

export function cardNames(): string[] {
  return runNow((native) => native.cardNames());
}

/** @param dir a checkpoint's `transformer` folder, of which only config.json is read */
export function transformerDims(dir: string): TransformerDims {
  return runNow((native) => native.transformerDims(dir));
}
