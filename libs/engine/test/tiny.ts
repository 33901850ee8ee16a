// The goldens' small checkpoint, and valid arguments for every call on it.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SchedulerConfig, Tensor } from '@atelier/checkpoint';
import type { GenerateRequest, Sample, Shape } from '@atelier/engine';

export const TINY = join(__dirname, '..', '..', '..', 'native', 'test', 'goldens', 'tiny-dev');
export const component = (name: string) => join(TINY, 'model', name);
export const ADAPTER = join(TINY, 'lora_a', 'pytorch_lora_weights.safetensors');

const config = JSON.parse(readFileSync(join(component('transformer'), 'config.json'), 'utf8')) as {
  joint_attention_dim: number;
  pooled_projection_dim: number;
};
const { alpha, rank } = (
  JSON.parse(readFileSync(join(TINY, 'manifest.json'), 'utf8')) as { config: { alpha: number; rank: number } }
).config;

export const LORA = { alpha, rank };
export const SHAPE: Shape = { gridH: 3, gridW: 2, textTokens: 7 };
export const SCHEDULER: SchedulerConfig = {
  dynamicShifting: true,
  shift: 3,
  baseShift: 0.5,
  maxShift: 1.15,
  baseSeqLen: 256,
  maxSeqLen: 4096,
  numTrainTimesteps: 1000,
};

/** Values that look random and are the same in every run. */
export function values(count: number, seed = 1): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => Math.sin((i + 1) * 12.9898 + seed * 78.233) % 1);
}

export function tensor(...shape: number[]): Tensor {
  return { shape, data: values(shape.reduce((product, n) => product * n, 1)) };
}

export function forwardInput({ gridH, gridW, textTokens }: Shape = SHAPE) {
  return {
    latents: values(gridH * gridW * 64),
    gridH,
    gridW,
    sigma: 0.5,
    guidance: 3.5,
    promptEmbeds: values(textTokens * config.joint_attention_dim),
    pooled: values(config.pooled_projection_dim),
  };
}

export function sample(id = 0, shape: Shape = SHAPE): Sample {
  const latents = 16 * 4 * shape.gridH * shape.gridW;
  return {
    mean: values(latents, id),
    logvar: values(latents, id + 0.5),
    shape,
    sampleId: id,
    promptEmbeds: values(shape.textTokens * config.joint_attention_dim, id),
    pooled: values(config.pooled_projection_dim, id),
  };
}

export function request(): GenerateRequest {
  return {
    height: 48,
    width: 32,
    steps: 2,
    guidance: 3.5,
    seed: 7,
    scheduler: SCHEDULER,
    promptEmbeds: tensor(SHAPE.textTokens, config.joint_attention_dim),
    pooled: tensor(config.pooled_projection_dim),
  };
}
