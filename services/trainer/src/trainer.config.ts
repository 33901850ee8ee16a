import { join } from 'node:path';
import { dataFolder } from '@atelier/contracts';
import { loadConfig } from '@atelier/mesh';
import { ComputeConfig, computeSettings } from '@atelier/models';
import { z } from 'zod';

const count = z.coerce.number().int().positive();

const settings = computeSettings.extend({
  ATELIER_TEXT_TOKENS: count.max(512).optional(),
  ATELIER_TRAINER_PREFETCH: count.max(64).default(4),
});

/** Settings of the trainer service; README.md has the table. */
export class TrainerConfig extends ComputeConfig {
  /** T5 tokens of a validation prompt; the checkpoint's own length where none is set. */
  readonly textTokens?: number;
  /** Where training states are kept of runs that were put down while the mesh was away. */
  readonly statesDir: string;
  /** Samples fetched ahead of the one being trained on: with that one, all that is ever held. */
  readonly prefetch: number;

  constructor(env: Record<string, string | undefined>) {
    const given = loadConfig(settings, env);
    super(given);
    this.textTokens = given.ATELIER_TEXT_TOKENS;
    this.statesDir = join(given.ATELIER_DATA ?? dataFolder(), 'training-states');
    this.prefetch = given.ATELIER_TRAINER_PREFETCH;
  }
}
