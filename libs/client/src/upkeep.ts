import { AtelierError } from '@atelier/contracts';
import { Sweep, SweepTurn, type Counted, type SweepRules } from '@atelier/jobs';
import { z } from 'zod';
import type { Connection } from './connection';

const HOUR_MS = 3_600_000;
const MiB = 1024 ** 2;

const mebibytes = (what: string) =>
  z.coerce
    .number()
    .min(0)
    .transform((given) => Math.floor(given * MiB))
    .optional()
    .describe(what);

/** What is kept how long, by the names in the environment: of whoever sweeps, the gateway or the command line. */
export const upkeepSettings = z.object({
  ATELIER_SWEEP_GRACE_HOURS: z.coerce
    .number()
    .min(0)
    .default(24)
    .describe('How long what nothing names is left alone: longer than any upload may pause.'),
  ATELIER_PROMPTS_KEPT_HOURS: z.coerce
    .number()
    .min(0)
    .default(168)
    .describe('How long the prompt embeds of drawings are kept.'),
  ATELIER_PROMPTS_MIB: mebibytes('Most prompt embeds of drawings, MiB: the oldest go. None: no limit.'),
  ATELIER_DRAWINGS_MIB: mebibytes('Most drawings, MiB: the oldest go, with their entries. None: no limit.'),
  ATELIER_PREVIEWS_KEPT_DAYS: z.coerce
    .number()
    .min(0)
    .optional()
    .describe('How long validation pictures outlive the end of their run. None: as long as it is there.'),
});

export function sweepRules(settings: z.output<typeof upkeepSettings>): SweepRules {
  const previewDays = settings.ATELIER_PREVIEWS_KEPT_DAYS;
  return {
    graceMs: settings.ATELIER_SWEEP_GRACE_HOURS * HOUR_MS,
    promptsKeptMs: settings.ATELIER_PROMPTS_KEPT_HOURS * HOUR_MS,
    promptsLimit: settings.ATELIER_PROMPTS_MIB,
    drawingsLimit: settings.ATELIER_DRAWINGS_MIB,
    previewsKeptMs: previewDays === undefined ? undefined : previewDays * 24 * HOUR_MS,
  };
}

export interface SweepOptions {
  /** Nothing is taken away: it is only counted. */
  dryRun?: boolean;
}

/** Clears what nothing names any more, or says what it would. Throws ABORTED where another sweeps. */
export async function sweep(
  connection: Connection,
  rules: SweepRules,
  { dryRun = false }: SweepOptions = {},
): Promise<Counted[]> {
  if (dryRun) return new Sweep(connection.mesh, rules, { dryRun }).run();
  const cleared = await sweepInTurn(connection, rules, 0);
  if (cleared) return cleared;
  throw new AtelierError('ABORTED', 'the store is being swept at this moment: try again when that is over');
}

/** Sweeps if it is due, and nobody else does. */
export async function sweepInTurn(
  { mesh }: Connection,
  rules: SweepRules,
  intervalMs: number,
): Promise<Counted[] | undefined> {
  const turn = new SweepTurn(mesh);
  if (!(await turn.take(intervalMs))) return undefined;
  const cleared = await turn.during(() => new Sweep(mesh, rules, { onBatch: () => turn.goesOn() }).run());
  await turn.end(cleared);
  return cleared;
}
