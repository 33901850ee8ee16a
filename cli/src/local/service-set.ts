import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { SERVICES } from '@atelier/client';
import { AtelierError } from '@atelier/contracts';
import type { Settings } from '../settings';

const REPOSITORY = join(__dirname, '..', '..', '..');

/** Everything "up" starts beside nats-server. */
export const ALL_SERVICES = [...SERVICES, 'gateway'] as const;

export interface ServiceProgram {
  name: string;
  main: string;
  env: NodeJS.ProcessEnv;
}

/** The services' programs with the settings they share, by the names that each service's config reads. */
export function servicePrograms(
  settings: Settings,
  natsUrl: string,
  httpPort: number,
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
      ...env,
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

function program(name: string): string {
  return join(REPOSITORY, 'services', name, 'dist', 'main.js');
}
