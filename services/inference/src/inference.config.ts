import { baseQuants, type BaseQuantName } from '@atelier/contracts';
import { loadConfig } from '@atelier/mesh';
import { ComputeConfig, computeSettings } from '@atelier/models';
import { z } from 'zod';

const count = z.coerce.number().int().positive();

const settings = computeSettings.extend({
  ATELIER_TEXT_TOKENS: count.max(512).optional(),
  ATELIER_INFERENCE_GRACE_SECONDS: z.coerce.number().min(0).max(3600).default(40),
  ATELIER_INFERENCE_QUANT: z.enum(baseQuants).default('nf4'),
  ATELIER_INFERENCE_SAMPLERS: count.max(64).default(4),
});

/** Settings of the inference service; README.md has the table. */
export class InferenceConfig extends ComputeConfig {
  /** T5 tokens of a prompt; the checkpoint's own length where none is set. */
  readonly textTokens?: number;
  /** How the frozen weights are kept. */
  readonly quant: BaseQuantName;
  /** How long the picture in hand may still take when the service is asked to stop. */
  readonly graceMs: number;
  /** Combinations of adapters that stay at hand. */
  readonly samplers: number;

  constructor(env: Record<string, string | undefined>) {
    const given = loadConfig(settings, env);
    super(given);
    this.textTokens = given.ATELIER_TEXT_TOKENS;
    this.quant = given.ATELIER_INFERENCE_QUANT;
    this.graceMs = given.ATELIER_INFERENCE_GRACE_SECONDS * 1000;
    this.samplers = given.ATELIER_INFERENCE_SAMPLERS;
  }
}
