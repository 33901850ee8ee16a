import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { SERVICES } from '@atelier/client';
import { AtelierError } from '@atelier/contracts';
import { CREDENTIALS_SETTINGS, credentialsEnv, type Credentials } from '@atelier/mesh';
import type { Settings } from '../settings';

const REPOSITORY = join(__dirname, '..', '..', '..');

/** Everything "up" starts beside nats-server. */
export const ALL_SERVICES = [...SERVICES, 'gateway'] as const;
export type ServiceName = (typeof ALL_SERVICES)[number];

export interface ServiceProgram {
  name: string;
  main: string;
  env: NodeJS.ProcessEnv;
}

/** Where the services are to find each other. */
export interface Meeting {
  natsUrl: string;
  httpPort: number;
  /** What each shows NATS. */
  credentialsOf?: (service: ServiceName) => Credentials;
}

/** The services' programs with the settings they share, by the names that each service's config reads. */
export function servicePrograms(
  settings: Settings,
  { natsUrl, httpPort, credentialsOf = () => ({}) }: Meeting,
  env: NodeJS.ProcessEnv = process.env,
): ServiceProgram[] {
  const missing = ALL_SERVICES.filter((name) => !existsSync(program(name)));
  if (missing.length > 0)
    throw new AtelierError(
      'FAILED_PRECONDITION',
      `not built yet: ${missing.join(', ')}. Run "npm run setup" in ${REPOSITORY}`,
    );
  return ALL_SERVICES.map((name, index) => {
    const own: NodeJS.ProcessEnv = {
      ...withoutSecrets(env, name),
      ...credentialsEnv(credentialsOf(name)),
      ATELIER_NATS_URL: natsUrl,
      ATELIER_MODEL: settings.model,
      ATELIER_DATA: settings.data,
      ATELIER_HTTP_HOST: settings.httpHost,
      ATELIER_HTTP_PORT: String(httpPort),
    };
    if (settings.publicUrls !== undefined) own.ATELIER_PUBLIC_URL = settings.publicUrls;
    if (settings.textTokens !== undefined) own.ATELIER_TEXT_TOKENS = String(settings.textTokens);
    // Six processes cannot share one port.
    if (settings.healthPort !== undefined)
      own.ATELIER_HEALTH_PORT = String(settings.healthPort === 0 ? 0 : settings.healthPort + index);
    return { name, main: program(name), env: own };
  });
}

/** Names of variables that say that their value opens something: HF_TOKEN, AWS_SECRET_ACCESS_KEY. */
const SECRET = /TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|API_?KEY|ACCESS_KEY|PRIVATE_KEY/i;
/** Whom the gateway lets in, and how it signs what it sends. */
const GATEWAYS = /^ATELIER_(API_|WEBHOOK)/;
const CREDENTIALS: ReadonlySet<string> = new Set(Object.values(CREDENTIALS_SETTINGS));

/**
 * The environment without what opens something elsewhere: ingest reads files of strangers, and no service downloads
 * anything. What opens Atelier's own doors reaches whoever stands at them.
 */
function withoutSecrets(env: NodeJS.ProcessEnv, service: ServiceName): NodeJS.ProcessEnv {
  const mayHave = (name: string): boolean => {
    if (GATEWAYS.test(name)) return service === 'gateway';
    return name.startsWith('ATELIER_') ? !CREDENTIALS.has(name) : !SECRET.test(name);
  };
  return Object.fromEntries(Object.entries(env).filter(([name]) => mayHave(name)));
}

function program(name: string): string {
  return join(REPOSITORY, 'services', name, 'dist', 'main.js');
}
