import { AtelierError } from '@atelier/contracts';
import { z } from 'zod';
import { settingsIn, unknownSettings } from './settings';

/**
 * Settings from the environment, validated whole: every bad one is reported at once, by the name of its variable, and so is every ATELIER_…
 * that nothing reads. The keys of the schema are the variables' names.
 */
export function loadConfig<Schema extends z.ZodObject>(
  schema: Schema,
  env: Record<string, string | undefined> = process.env,
): z.output<Schema> {
  const set = settingsIn(env);
  const given = Object.fromEntries(Object.entries(set).filter(([key]) => key in schema.shape));
  const parsed = schema.safeParse(given);
  const details = unknownSettings(env);
  if (parsed.success && Object.keys(details).length === 0) return parsed.data;
  for (const issue of parsed.error?.issues ?? []) {
    const key = String(issue.path[0] ?? 'settings');
    details[key] = `${given[key] === undefined ? 'is not set' : `is ${JSON.stringify(given[key])}`}: ${issue.message}`;
  }
  const lines = Object.entries(details).map(([key, problem]) => `  ${key} ${problem}`);
  throw new AtelierError('INVALID_ARGUMENT', `these settings are not right:\n${lines.join('\n')}`, details);
}

const file = (what: string) => z.string().optional().describe(what);

/** Settings that every service has, the gateway too. */
export const baseSettings = z.object({
  ATELIER_NATS_URL: z.string().min(1).default('nats://127.0.0.1:4222').describe('Where the mesh is'),
  ATELIER_NATS_SEED_FILE: file('Its seed: who this service is to NATS'),
  ATELIER_NATS_TLS_CA: file('Certificate of the authority that NATS has its own from'),
  ATELIER_NATS_TLS_CERT: file('What NATS is shown, where it asks for a certificate'),
  ATELIER_NATS_TLS_KEY: file('The key of that'),
  ATELIER_HEALTH_PORT: z.coerce
    .number()
    .int()
    .min(0)
    .max(65_535)
    .optional()
    .describe('Port of /livez, /readyz, /healthz and /metrics; none without it'),
  ATELIER_NATS_REPLICAS: z.coerce
    .number()
    .int()
    .min(1)
    .max(5)
    .default(1)
    .describe('Servers of a NATS cluster that keep each stream and bucket'),
  ATELIER_LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info'),
});

/** Settings of those that take work. */
export const workerSettings = baseSettings.extend({
  ATELIER_ONCE: z
    .enum(['0', '1'])
    .default('0')
    .transform((value) => value === '1')
    .describe('1: take one message of work, do it, and end'),
});
