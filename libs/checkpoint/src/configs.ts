// The settings that Atelier itself reads from a checkpoint's config files; the engine reads the rest when it loads weights.
import { CheckpointError } from './errors';
import type { JsonObject } from './json-file';

/** From scheduler/scheduler_config.json. */
export interface SchedulerConfig {
  dynamicShifting: boolean;
  shift: number;
  baseShift: number;
  maxShift: number;
  baseSeqLen: number;
  maxSeqLen: number;
  numTrainTimesteps: number;
}

/** From transformer/config.json. `jointDim` is T5's width, `pooledDim` CLIP's. */
export interface FluxConfig {
  inChannels: number;
  numLayers: number;
  numSingleLayers: number;
  heads: number;
  headDim: number;
  jointDim: number;
  pooledDim: number;
  guidance: boolean;
  axesDims: number[];
}

/** From vae/config.json. A latent for the transformer is (sample - shiftFactor) * scalingFactor. */
export interface VaeConfig {
  latentChannels: number;
  scalingFactor: number;
  shiftFactor: number;
  /** Pixels a side of one latent value: 8 for FLUX.1. */
  downscale: number;
}

/** Scheduler options that would change the numbers and that the engine does not compute. */
const NEUTRAL_SCHEDULER: Record<string, unknown> = {
  use_karras_sigmas: false,
  use_exponential_sigmas: false,
  use_beta_sigmas: false,
  invert_sigmas: false,
  stochastic_sampling: false,
  shift_terminal: null,
  time_shift_type: 'exponential',
};

/** Typed access to one config file; the defaults are diffusers'. */
class Config {
  constructor(
    private readonly file: string,
    private readonly json: JsonObject,
  ) {}

  number(key: string, fallback?: number): number {
    const value = this.json[key] ?? fallback;
    if (typeof value !== 'number' || !Number.isFinite(value)) throw this.wrong(key, 'a number');
    return value;
  }

  count(key: string, fallback?: number): number {
    const value = this.number(key, fallback);
    if (!Number.isSafeInteger(value) || value < 1) throw this.wrong(key, 'a whole number of at least 1');
    return value;
  }

  flag(key: string, fallback: boolean): boolean {
    const value = this.json[key] ?? fallback;
    if (typeof value !== 'boolean') throw this.wrong(key, 'true or false');
    return value;
  }

  list(key: string, fallback?: number[]): number[] {
    const value = this.json[key] ?? fallback;
    if (!Array.isArray(value) || value.length === 0 || value.some((n) => !Number.isSafeInteger(n) || n < 1))
      throw this.wrong(key, 'a list of whole numbers');
    return value as number[];
  }

  neutral(expected: Record<string, unknown>): void {
    for (const [key, value] of Object.entries(expected)) {
      const found = this.json[key] ?? value;
      if (found !== value) {
        throw new CheckpointError(
          'UNIMPLEMENTED',
          `${this.file}: ${key} is ${JSON.stringify(found)}, only ${JSON.stringify(value)} is supported; use FLUX.1's own scheduler`,
        );
      }
    }
  }

  private wrong(key: string, expected: string): CheckpointError {
    return new CheckpointError(
      'DATA_LOSS',
      `${this.file}: ${key} is ${JSON.stringify(this.json[key])}, expected ${expected}; download the file again`,
    );
  }
}

export function readSchedulerConfig(file: string, json: JsonObject): SchedulerConfig {
  const config = new Config(file, json);
  config.neutral(NEUTRAL_SCHEDULER);
  return {
    dynamicShifting: config.flag('use_dynamic_shifting', false),
    shift: config.number('shift', 1),
    baseShift: config.number('base_shift', 0.5),
    maxShift: config.number('max_shift', 1.15),
    baseSeqLen: config.count('base_image_seq_len', 256),
    maxSeqLen: config.count('max_image_seq_len', 4096),
    numTrainTimesteps: config.count('num_train_timesteps', 1000),
  };
}

export function readFluxConfig(file: string, json: JsonObject): FluxConfig {
  const config = new Config(file, json);
  return {
    inChannels: config.count('in_channels', 64),
    numLayers: config.number('num_layers', 19),
    numSingleLayers: config.number('num_single_layers', 38),
    heads: config.count('num_attention_heads', 24),
    headDim: config.count('attention_head_dim', 128),
    jointDim: config.count('joint_attention_dim', 4096),
    pooledDim: config.count('pooled_projection_dim', 768),
    guidance: config.flag('guidance_embeds', false),
    axesDims: config.list('axes_dims_rope', [16, 56, 56]),
  };
}

export function readVaeConfig(file: string, json: JsonObject): VaeConfig {
  const config = new Config(file, json);
  return {
    latentChannels: config.count('latent_channels', 4),
    scalingFactor: config.number('scaling_factor', 0.18215),
    shiftFactor: config.number('shift_factor', 0),
    downscale: 2 ** (config.list('block_out_channels').length - 1),
  };
}
