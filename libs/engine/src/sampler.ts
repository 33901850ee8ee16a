import type { SchedulerConfig, Tensor } from '@atelier/checkpoint';
import type { MemoryPlan, NativeRequest, SamplerHandle } from './addon';
import { type Call, run } from './call';
import { Loaded } from './loaded';
import { u64 } from './u64';

export interface GenerateRequest {
  /** Pixels, divisible by 16. */
  height: number;
  width: number;
  steps: number;
  /** Ignored by models without a guidance embedding. */
  guidance: number;
  /** Draws the start noise; the same seed gives the same picture. */
  seed: bigint | number;
  /** (text tokens, jointDim). */
  promptEmbeds: Tensor;
  /** (pooledDim). */
  pooled: Tensor;
  /** (16, height/8, width/8) start noise, instead of the seed's. */
  latents?: Tensor;
  /** From the checkpoint. */
  scheduler: SchedulerConfig;
  /** Bytes of a card that the picture may take, weights and all; those that do not fit are fetched for each step. 0, the default: what is free. */
  memoryBudget?: number;
  /** {@link Vae.decodeBytes} of a picture that is decoded while the weights stay: the plan leaves room for it. Default: 0. */
  decodeBytes?: number;
}

/** Draws packed latents from prompt embeds, as diffusers' pipeline with output_type "latent". Made by Transformer.createSampler. */
export class Sampler extends Loaded<SamplerHandle> {
  /** The memory that generate will take. */
  plan(request: GenerateRequest, call?: Call): Promise<MemoryPlan> {
    return run(call, async (native, options) => native.samplerPlan(this.handle, toNative(request), options));
  }

  /** @returns (height/16 · width/16, channels); progress is reported once a step */
  generate(request: GenerateRequest, call?: Call): Promise<Tensor> {
    return run(call, async (native, options) => native.samplerGenerate(this.handle, toNative(request), options));
  }
}

function toNative({
  promptEmbeds,
  pooled,
  latents,
  seed,
  memoryBudget = 0,
  decodeBytes = 0,
  ...rest
}: GenerateRequest): NativeRequest {
  return {
    ...rest,
    memoryBudget,
    decodeBytes,
    seed: u64(seed, 'seed'),
    promptEmbeds: promptEmbeds.data,
    pooled: pooled.data,
    latents: latents?.data,
  };
}
