import { join, resolve } from 'node:path';
import { AtelierError, dataFolder } from '@atelier/contracts';
import { CREDENTIALS_SETTINGS, credentialsOf, settingsIn, unknownSettings, type Credentials } from '@atelier/mesh';

/**
 * Every setting of the command, by its name in the environment. Services started by "atelier up" get the whole environment as well;
 * the names of all are in libs/mesh, where an unknown one is told.
 */
export const SETTINGS = [
  {
    name: 'ATELIER_NATS_URL',
    flag: '--nats',
    value: 'what "atelier up" started on the data folder, else nats://127.0.0.1:4222',
    about: 'where the mesh is; with it, "up" starts no nats-server',
  },
  {
    name: 'ATELIER_NATS_SEED_FILE',
    flag: '',
    value: 'none; of what "up" started, its own',
    about: 'seed of user cli of a mesh that is named; with "up" those of the services lie beside it',
  },
  { name: 'ATELIER_NATS_TLS_CA', flag: '', value: "Node's", about: 'authority of the certificate of such a mesh' },
  { name: 'ATELIER_NATS_TLS_CERT', flag: '', value: 'none', about: 'what it is shown where it asks for a certificate' },
  { name: 'ATELIER_NATS_TLS_KEY', flag: '', value: 'none', about: 'the key of that' },
  {
    name: 'ATELIER_NATS_PORT',
    flag: '',
    value: '4222, another one when that is taken',
    about: 'with "up": the port of the nats-server it starts; 0: any free one',
  },
  {
    name: 'ATELIER_NATS_SERVER',
    flag: '',
    value: 'nats-server, as it is found in PATH',
    about: 'with "up": the nats-server to start',
  },
  {
    name: 'ATELIER_DATA',
    flag: '--data',
    value: '~/.atelier',
    about: 'streams, logs, caches and downloaded checkpoints',
  },
  {
    name: 'ATELIER_MODEL',
    flag: '--model',
    value: '<data>/models/FLUX.1-dev',
    about: 'checkpoint folder in the diffusers layout',
  },
  { name: 'ATELIER_HTTP_HOST', flag: '', value: '127.0.0.1', about: 'address of the gateway and its studio page' },
  { name: 'ATELIER_HTTP_PORT', flag: 'up --port', value: '7870', about: 'its port; 0: any free one' },
  { name: 'ATELIER_PUBLIC_URL', flag: '', value: 'none', about: 'its addresses by other names, separated by commas' },
  {
    name: 'ATELIER_HEALTH_PORT',
    flag: '',
    value: 'none',
    about: 'with "up": the first of six ports of probes (/livez, /readyz) and /metrics',
  },
  {
    name: 'ATELIER_TEXT_TOKENS',
    flag: 'plan --text-tokens',
    value: "the checkpoint's own length",
    about: 'T5 tokens of a caption',
  },
  {
    name: 'HF_TOKEN',
    flag: 'model pull --token',
    value: 'none',
    about: 'Hugging Face access token, for gated checkpoints',
  },
] as const;

export const SETTINGS_HELP = `
Settings (environment, or the flag):
${SETTINGS.map(({ name, flag, value, about }) => `  ${name.padEnd(20)} ${flag ? `${flag}: ` : ''}${about}. Default: ${value}`).join('\n')}`;

const DEFAULT_MODEL = 'FLUX.1-dev';
export const DEFAULT_NATS_URL = 'nats://127.0.0.1:4222';

/** Flags that every command has. */
export interface GlobalFlags {
  nats?: string;
  data?: string;
  model?: string;
  json?: boolean;
}

export interface Settings {
  /** Only where it was said: without it the data folder's own mesh is looked for. */
  natsUrl?: string;
  /** Of a mesh that was named. */
  credentials: Credentials;
  /** Of the nats-server that "up" starts: tried first; 0: any free one. */
  natsPort: number;
  data: string;
  model: string;
  /** Whether the checkpoint was named, rather than being the default one. */
  modelGiven: boolean;
  httpHost: string;
  httpPort: number;
  /** Addresses of the gateway as others see it: under other names it refuses requests. */
  publicUrls?: string;
  healthPort?: number;
  textTokens?: number;
  hubToken?: string;
}

/** Flags first, then the environment, then defaults. Every bad one is reported at once, and every ATELIER_… that nothing reads. */
export function readSettings(flags: GlobalFlags = {}, environment: NodeJS.ProcessEnv = process.env): Settings {
  const env = settingsIn(environment);
  const details = unknownSettings(environment);
  const natsUrl = flags.nats || env.ATELIER_NATS_URL || undefined;
  if (natsUrl !== undefined && !natsUrl.split(',').every(isNatsUrl)) {
    details.ATELIER_NATS_URL = `is ${JSON.stringify(natsUrl)}: use nats://host:port, several separated by commas`;
  }
  const credentials = credentialsOf(env);
  for (const key of natsUrl === undefined ? (Object.keys(credentials) as (keyof Credentials)[]) : [])
    details[CREDENTIALS_SETTINGS[key]] = 'is for a mesh that is named: set ATELIER_NATS_URL as well, or unset it';
  if (!(env.ATELIER_PUBLIC_URL ?? '').split(',').every((url) => url.trim() === '' || isHttpUrl(url.trim()))) {
    const given = JSON.stringify(env.ATELIER_PUBLIC_URL);
    details.ATELIER_PUBLIC_URL = `is ${given}: use https://atelier.example.com, several separated by commas`;
  }
  const number = (name: string, least: number, most: number): number | undefined => {
    const text = env[name];
    if (!text) return undefined;
    const value = /^\d+$/.test(text) ? Number(text) : NaN;
    if (!(value >= least && value <= most))
      details[name] = `is ${JSON.stringify(text)}: use a whole number from ${least} to ${most}`;
    return value;
  };
  const data = resolve(flags.data || dataFolder());
  const named = flags.model || env.ATELIER_MODEL;
  const settings: Settings = {
    natsUrl,
    credentials,
    natsPort: number('ATELIER_NATS_PORT', 0, 65_535) ?? 4222,
    data,
    model: resolve(named || join(modelsFolder(data), DEFAULT_MODEL)),
    modelGiven: Boolean(named),
    httpHost: env.ATELIER_HTTP_HOST || '127.0.0.1',
    httpPort: number('ATELIER_HTTP_PORT', 0, 65_535) ?? 7870,
    publicUrls: env.ATELIER_PUBLIC_URL || undefined,
    healthPort: number('ATELIER_HEALTH_PORT', 0, 65_530),
    textTokens: number('ATELIER_TEXT_TOKENS', 1, 512),
    hubToken: environment.HF_TOKEN || undefined,
  };
  const problems = Object.entries(details).map(([name, problem]) => `${name} ${problem}`);
  if (problems.length > 0)
    throw new AtelierError('INVALID_ARGUMENT', `these settings are not right: ${problems.join('. ')}`, details);
  return settings;
}

/** Where "model pull" puts checkpoints, a folder each. */
export function modelsFolder(data: string): string {
  return join(data, 'models');
}

function isNatsUrl(text: string): boolean {
  return /^((nats|tls|ws|wss):\/\/)?([^\s/@]+@)?[^\s/:@]+(:\d{1,5})?\/?$/.test(text.trim());
}

function isHttpUrl(text: string): boolean {
  return /^https?:\/\//.test(text) && URL.canParse(text);
}
