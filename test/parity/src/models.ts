// What is inside of models, trainers and adapters, for checks.
import type { Tensor } from '@atelier/checkpoint';
import { Adapter, type BaseQuant, type Call, type Engine, Transformer, native, type Trainer } from '@atelier/engine';
import type { AdapterModule, ForwardInput, TestingAddon } from './testing-addon';

const { run, runNow, u64 } = native;
const testing = (addon: native.Addon) => addon as TestingAddon;

/** A transformer with N(0, 0.02) weights, quantised as they are drawn. The caller disposes it. */
export async function randomTransformer(
  engine: Engine,
  dims: native.TransformerDims,
  { quant, seed, ...call }: { quant: BaseQuant; seed: bigint | number } & Call,
): Promise<Transformer> {
  return new Transformer(
    await run(call, async (addon, options) =>
      testing(addon).randomTransformer(engine.handle, dims, quant, u64(seed, 'seed'), options),
    ),
  );
}

/** @returns `out` (gridH · gridW, outChannels), and with captureBlocks every block's output */
export function forward(
  transformer: Transformer,
  input: Omit<ForwardInput, 'captureBlocks'> & { captureBlocks?: boolean },
  call?: Call,
): Promise<Record<string, Tensor>> {
  return run(call, (addon, options) =>
    testing(addon).transformerForward(
      transformer.handle,
      { ...input, captureBlocks: input.captureBlocks ?? false },
      options,
    ),
  );
}

/** The gradients accumulated so far, as `<path>.lora_A` (rank, in) and `<path>.lora_B` (out, rank). */
export function gradientsOf(trainer: Trainer, call?: Call): Promise<Record<string, Tensor>> {
  return run(call, (addon, options) => testing(addon).trainerGradients(trainer.handle, options));
}

/** The last micro-step's prediction, (image tokens, channels). */
export function lastPrediction(trainer: Trainer, call?: Call): Promise<Tensor> {
  return run(call, (addon, options) => testing(addon).trainerLastPrediction(trainer.handle, options));
}

/** Replaces the weights; every target module must be there with the trainer's rank. */
export function setAdapter(trainer: Trainer, adapter: Adapter, call?: Call): Promise<void> {
  return run(call, (addon, options) => testing(addon).trainerSetAdapter(trainer.handle, adapter.handle, options));
}

/** @throws EngineError INVALID_ARGUMENT when a module's arrays do not have its rank and sizes */
export function createAdapter(modules: Record<string, AdapterModule>, metadata: Record<string, string> = {}): Adapter {
  return new Adapter(runNow((addon) => testing(addon).createAdapter(modules, metadata)));
}

/** Copies of all weights. */
export function modulesOf(adapter: Adapter): Record<string, AdapterModule> {
  return runNow((addon) => testing(addon).adapterContent(adapter.handle)).modules;
}

export function metadataOf(adapter: Adapter): Record<string, string> {
  return runNow((addon) => testing(addon).adapterContent(adapter.handle)).metadata;
}
