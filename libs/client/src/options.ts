import { z } from 'zod';
import { AtelierError, type ITrainOptions } from '@atelier/contracts';

/**
 * What a person may ask of a fine-tune, in the spelling of the HTTP API and of the proto. Defaults are those of the
 * reference script (train_dreambooth_lora_flux_miniature), except alpha, which follows the rank as the script's does.
 */
export const trainOptionsSchema = z.strictObject({
  rank: z.int().min(1).max(1024).default(4).describe('Rank of the LoRA matrices.'),
  alpha: z.number().positive().max(65_536).optional().describe('LoRA alpha; the update is scaled by alpha / rank. Default: the rank.'),
  targets: z.array(z.string().min(1).max(200)).min(1).max(512).default(['to_k', 'to_q', 'to_v', 'to_out.0'])
    .describe('Linear layers to adapt: a module path, or its last parts.'),
  optimizer: z.enum(['adamw8bit', 'adamw', 'adamw8bit_all']).default('adamw8bit')
    .describe('adamw8bit keeps 8-bit states for tensors of at least 4096 elements; adamw8bit_all for all.'),
  learning_rate: z.number().positive().max(10).default(1e-4).describe('Peak learning rate.'),
  weight_decay: z.number().min(0).max(1).default(1e-4),
  max_grad_norm: z.number().positive().max(1e6).default(1).describe('Gradient norm is clipped to this, once per optimizer step.'),
  accumulation: z.int().min(1).max(4096).default(1).describe('Micro-steps per optimizer step.'),
  lr_schedule: z.enum(['constant', 'constant_with_warmup', 'linear', 'cosine', 'cosine_with_restarts', 'polynomial']).default('constant'),
  warmup_steps: z.int().min(0).max(1_000_000).default(0),
  total_steps: z.int().min(1).max(1_000_000).default(700).describe('Optimizer steps of the run.'),
  weighting: z.enum(['none', 'sigma_sqrt', 'logit_normal', 'mode', 'cosmap']).default('none')
    .describe('How timesteps are drawn (logit_normal, mode) or the loss is weighted (sigma_sqrt, cosmap).'),
  logit_mean: z.number().min(-100).max(100).default(0),
  logit_std: z.number().positive().max(100).default(1),
  mode_scale: z.number().min(-100).max(100).default(1.29),
  guidance: z.number().min(0).max(100).default(1).describe('Guidance input while training; ignored by checkpoints without one.'),
  seed: z.int().min(0).default(0),
  recompute: z.boolean().default(true).describe('Forward once more in backward instead of keeping activations.'),
  quant: z.enum(['none', 'nf4', 'nf4_double']).default('nf4').describe('How the frozen weights are held.'),
  checkpoint_every: z.int().min(0).max(1_000_000).default(50).describe('Steps between saves of the training state; 0: never.'),
  validation_prompts: z.array(z.string().min(1).max(4096)).max(64).default([]).describe('Prompts drawn while training.'),
  validate_every: z.int().min(0).max(1_000_000).default(0).describe('Steps between validation pictures; 0: never.'),
  validation_steps: z.int().min(1).max(1000).default(28).describe('Sampling steps of a validation picture.'),
  on_bad_sample: z.enum(['skip', 'fail']).default('skip').describe('Whether the run goes on without a sample that cannot be encoded.'),
  validation_seed: z.int().min(0).default(0),
});

export type TrainOptionsInput = z.input<typeof trainOptionsSchema>;

const camel = (key: string): string => key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
const snake = (key: string): string => key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** Every problem of a zod failure as one INVALID_ARGUMENT: the text lists them all, details holds one entry per field. */
export function invalidArgument(what: string, error: z.ZodError): AtelierError {
  const details: Record<string, string> = {};
  const note = (field: string, problem: string): void => {
    details[field] = details[field] ? `${details[field]}; ${problem}` : problem;
  };
  for (const issue of error.issues) {
    const path = issue.path.join('.');
    if (issue.code === 'unrecognized_keys') {
      for (const key of issue.keys) note(path ? `${path}.${key}` : key, 'unknown field: remove it or correct its spelling');
    } else {
      note(path || what, issue.message);
    }
  }
  const list = Object.entries(details).map(([field, problem]) => `${field}: ${problem}`);
  return new AtelierError('INVALID_ARGUMENT', `${what} is not valid: ${list.join('. ')}`, details);
}

/** Options as the proto message, with defaults filled in; refuses bad and unknown ones, all at once. */
export function trainOptions(input: TrainOptionsInput = {}): ITrainOptions {
  const parsed = trainOptionsSchema.safeParse(input);
  if (!parsed.success) throw invalidArgument('options', parsed.error);
  const options = { ...parsed.data, alpha: parsed.data.alpha ?? parsed.data.rank };
  return Object.fromEntries(Object.entries(options).map(([key, value]) => [camel(key), value])) as ITrainOptions;
}

/** The proto message in the spelling of the HTTP API. */
export function trainOptionsJson(options: ITrainOptions): Record<string, unknown> {
  return Object.fromEntries(
    Object.keys(trainOptionsSchema.shape).map((key) => [key, (options as Record<string, unknown>)[camel(key)]]),
  );
}

/** Options given as a (partial) proto message, checked and completed. */
export function completeTrainOptions(options: Partial<ITrainOptions>): ITrainOptions {
  const given = Object.entries(options).filter(([, value]) => value !== undefined && value !== null);
  return trainOptions(Object.fromEntries(given.map(([key, value]) => [snake(key), value])) as TrainOptionsInput);
}
