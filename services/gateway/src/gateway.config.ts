import { resolve } from 'node:path';
import { sweepRules, upkeepSettings } from '@atelier/client';
import type { SweepRules } from '@atelier/jobs';
import { baseSettings, credentialsOf, type Credentials } from '@atelier/mesh';
import { z } from 'zod';

const MiB = 1024 * 1024;
const mebibytes = (value: number) =>
  z.coerce
    .number()
    .positive()
    .default(value)
    .transform((given) => Math.floor(given * MiB));

const urls = z
  .string()
  .default('')
  .transform(separated)
  .pipe(
    z.array(z.url({ protocol: /^https?$/, error: 'use https://atelier.example.com, several separated by commas' })),
  );

const perSecond = (value: number) => z.coerce.number().min(0).max(1e6).default(value);
const most = (value: number) => z.coerce.number().int().positive().default(value);

/** Of what one sender, or all of them together, may ask of one gateway: far above what a person, a page or a script does. */
const limitSettings = {
  ATELIER_READS_PER_SECOND: perSecond(2000).describe('Requests that only read, of one token or address; 0: no limit.'),
  ATELIER_WRITES_PER_SECOND: perSecond(500).describe('The same of requests that change or draw something.'),
  ATELIER_UPLOADS: most(32).describe('Uploads of data sets and adapters at once.'),
  ATELIER_CONNECTIONS: most(2000).describe('Connections that are open at once; more are closed as they come.'),
  ATELIER_BODY_IDLE_SECONDS: z.coerce
    .number()
    .positive()
    .max(3600)
    .default(60)
    .describe('How long the body of a request may stop coming.'),
};

/** Settings, by their names in the environment. All of them have a default. */
export const gatewaySettings = baseSettings.extend({
  ...upkeepSettings.shape,
  ATELIER_SWEEP_MINUTES: z.coerce
    .number()
    .min(0)
    .default(60)
    .describe('Between two sweeps of the store in the background; 0: none.'),
  ATELIER_HTTP_HOST: z.string().default('127.0.0.1').describe('Address to listen on.'),
  ATELIER_HTTP_PORT: z.coerce
    .number()
    .int()
    .min(0)
    .max(65_535)
    .default(7870)
    .describe('Port to listen on; 0: any free one.'),
  ATELIER_API_TOKEN: z
    .string()
    .min(8)
    .regex(/^\S+$/, 'no blanks')
    .optional()
    .describe('Token that may do everything; without it and a file of others no token is asked for.'),
  ATELIER_API_TOKENS_FILE: z
    .string()
    .min(1)
    .optional()
    .describe(
      'File of tokens with their scopes, a line each as "atelier token" prints it; read again when it changes.',
    ),
  ATELIER_CORS_ORIGINS: z
    .string()
    .default('')
    .describe('Origins of other pages that may use the API, separated by commas.'),
  ATELIER_PUBLIC_URL: urls.describe('Its own addresses as clients see them, separated by commas: names it goes by.'),
  ATELIER_UPLOAD_FILE_MIB: mebibytes(2048).describe('Largest file of an upload, MiB.'),
  ATELIER_UPLOAD_TOTAL_MIB: mebibytes(16_384).describe('Largest upload, MiB.'),
  ATELIER_UPLOAD_FILES: z.coerce.number().int().positive().default(20_000).describe('Most files of an upload.'),
  ATELIER_ADAPTER_MIB: mebibytes(1024).describe('Largest adapter that may be brought in, MiB.'),
  ...limitSettings,
  ATELIER_GENERATE_SECONDS: z.coerce.number().positive().default(900).describe('Longest wait of an image request.'),
  ATELIER_HEARTBEAT_SECONDS: z.coerce
    .number()
    .positive()
    .default(15)
    .describe('Between two comments that keep an event stream open.'),
  ATELIER_HTTP_GRACE_SECONDS: z.coerce
    .number()
    .positive()
    .max(3600)
    .default(25)
    .describe('How long requests in hand may go on once it is asked to stop.'),
  ATELIER_WEBHOOK_PRIVATE: z
    .enum(['auto', 'true', 'false'])
    .default('auto')
    .describe('Whether webhooks may go to private and loopback addresses; auto: where only this machine reaches it.'),
  ATELIER_WEBHOOK_RETRY_SECONDS: z.coerce
    .number()
    .positive()
    .max(3600)
    .default(5)
    .describe('Before the second try of a delivery; each later pause is three times as long, up to an hour.'),
  ATELIER_STUDIO: z
    .string()
    .default(resolve(__dirname, '..', '..', 'studio', 'public'))
    .describe("Folder of the studio page's files."),
});

/** The same, in the words the code uses. */
export class GatewayConfig {
  readonly natsUrl: string;
  readonly credentials: Credentials;
  readonly replicas: number;
  readonly healthPort?: number;
  readonly logLevel: string;
  readonly host: string;
  readonly port: number;
  readonly apiToken?: string;
  readonly tokensFile?: string;
  readonly corsOrigins: string[];
  /** The first is the one that counts where a request names none of them. */
  readonly publicUrls: string[];
  /** Bytes. */
  readonly uploadFileLimit: number;
  /** Bytes. */
  readonly uploadTotalLimit: number;
  readonly uploadFileCount: number;
  /** Bytes. */
  readonly adapterLimit: number;
  /** Of one token or address; 0: no limit. */
  readonly readsPerSecond: number;
  readonly writesPerSecond: number;
  /** At once, of all senders. */
  readonly uploads: number;
  readonly connections: number;
  /** How long a body may stop coming. */
  readonly bodyIdleMs: number;
  readonly generateTimeoutMs: number;
  readonly heartbeatMs: number;
  /** How long requests in hand may go on once the gateway is asked to stop. */
  readonly graceMs: number;
  readonly webhooks: WebhookSettings;
  readonly studioFolder: string;
  /** Between two sweeps of the store; 0: none. */
  readonly sweepMs: number;
  readonly sweepRules: SweepRules;

  constructor(settings: z.output<typeof gatewaySettings>) {
    this.natsUrl = settings.ATELIER_NATS_URL;
    this.credentials = credentialsOf(settings);
    this.replicas = settings.ATELIER_NATS_REPLICAS;
    this.healthPort = settings.ATELIER_HEALTH_PORT;
    this.logLevel = settings.ATELIER_LOG_LEVEL;
    this.host = settings.ATELIER_HTTP_HOST;
    this.port = settings.ATELIER_HTTP_PORT;
    this.apiToken = settings.ATELIER_API_TOKEN;
    this.tokensFile = settings.ATELIER_API_TOKENS_FILE;
    this.corsOrigins = separated(settings.ATELIER_CORS_ORIGINS);
    this.publicUrls = settings.ATELIER_PUBLIC_URL.map((url) => url.replace(/\/+$/, ''));
    this.uploadFileLimit = settings.ATELIER_UPLOAD_FILE_MIB;
    this.uploadTotalLimit = settings.ATELIER_UPLOAD_TOTAL_MIB;
    this.uploadFileCount = settings.ATELIER_UPLOAD_FILES;
    this.adapterLimit = settings.ATELIER_ADAPTER_MIB;
    this.readsPerSecond = settings.ATELIER_READS_PER_SECOND;
    this.writesPerSecond = settings.ATELIER_WRITES_PER_SECOND;
    this.uploads = settings.ATELIER_UPLOADS;
    this.connections = settings.ATELIER_CONNECTIONS;
    this.bodyIdleMs = settings.ATELIER_BODY_IDLE_SECONDS * 1000;
    this.generateTimeoutMs = settings.ATELIER_GENERATE_SECONDS * 1000;
    this.heartbeatMs = settings.ATELIER_HEARTBEAT_SECONDS * 1000;
    this.graceMs = settings.ATELIER_HTTP_GRACE_SECONDS * 1000;
    this.webhooks = webhookSettings(settings);
    this.studioFolder = settings.ATELIER_STUDIO;
    this.sweepMs = settings.ATELIER_SWEEP_MINUTES * 60_000;
    this.sweepRules = sweepRules(settings);
  }
}

export interface WebhookSettings {
  /** Whether deliveries may go to addresses that are not of the public internet. */
  toPrivate: boolean;
  retryMs: number;
}

/** Who may only be reached from this machine lets nobody reach what that person could not. */
function webhookSettings(settings: z.output<typeof gatewaySettings>): WebhookSettings {
  const { ATELIER_WEBHOOK_PRIVATE: given, ATELIER_HTTP_HOST: host, ATELIER_PUBLIC_URL: urls } = settings;
  const alone = ['127.0.0.1', '::1', 'localhost'].includes(host) && urls.length === 0;
  return {
    toPrivate: given === 'auto' ? alone : given === 'true',
    retryMs: settings.ATELIER_WEBHOOK_RETRY_SECONDS * 1000,
  };
}

function separated(list: string): string[] {
  return list
    .split(',')
    .map((item) => item.trim())
    .filter(Boolean);
}
