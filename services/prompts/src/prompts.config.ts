import { loadConfig } from '@atelier/mesh';
import { ComputeConfig, computeSettings } from '@atelier/models';
import { z } from 'zod';

/** What the engine takes through T5's layers at once at most. */
const MOST_TOGETHER = 16;

const settings = computeSettings.extend({
  ATELIER_PROMPTS_TOGETHER: z.coerce.number().int().min(1).max(MOST_TOGETHER).optional(),
});

/** Settings of the prompts service; README.md has the table. */
export class PromptsConfig extends ComputeConfig {
  /**
   * Captions taken from the queue, and encoded, at once. On the CPU one after another takes as long, and loses less where
   * the service is killed.
   */
  readonly together: number;

  constructor(env: Record<string, string | undefined>) {
    const given = loadConfig(settings, env);
    super(given);
    this.together = given.ATELIER_PROMPTS_TOGETHER ?? (this.card ? MOST_TOGETHER : 1);
  }
}
