// How a connection shows who it is, and how it knows whom it talks to: by its settings.
import { AtelierError, type MeshUser } from '@atelier/contracts';
import { readFileSync } from 'node:fs';
import { nkeyAuthenticator, type ConnectionOptions, type TlsOptions } from 'nats';
import { isCertificateRefused, isNobody } from './nats-errors';
import { readSeed } from './users/seed';

/** Files; each is read again when the connection is made again, so that what is in it may be changed. */
export interface Credentials {
  /** The seed of a user (docs/decisions/0046-one-user-a-service.md). Without it NATS is to let everybody in. */
  seedFile?: string;
  /** Of the authority that NATS has its certificate from; without it, those that Node trusts. */
  tlsCa?: string;
  /** What NATS is shown, where it asks for a certificate. */
  tlsCert?: string;
  tlsKey?: string;
}

export const CREDENTIALS_SETTINGS = {
  seedFile: 'ATELIER_NATS_SEED_FILE',
  tlsCa: 'ATELIER_NATS_TLS_CA',
  tlsCert: 'ATELIER_NATS_TLS_CERT',
  tlsKey: 'ATELIER_NATS_TLS_KEY',
} as const satisfies Record<keyof Credentials, string>;

type Settings = Partial<Record<(typeof CREDENTIALS_SETTINGS)[keyof Credentials], string>>;

export function credentialsOf(settings: Settings): Credentials {
  const entries = Object.entries(CREDENTIALS_SETTINGS).map(([key, name]) => [key, settings[name]]);
  return Object.fromEntries(entries.filter(([, value]) => value)) as Credentials;
}

/** The same as settings, for a process that is to have them. */
export function credentialsEnv(credentials: Credentials): Record<string, string> {
  const entries = Object.entries(credentials) as [keyof Credentials, string | undefined][];
  return Object.fromEntries(entries.flatMap(([key, file]) => (file ? [[CREDENTIALS_SETTINGS[key], file]] : [])));
}

/** Where the answers to a user's questions come: with users, nobody else may listen there. */
export const inboxOf = (user: MeshUser): string => `_INBOX.${user}`;

/** Throws INVALID_ARGUMENT where a file is not there, or not what it should be. */
export function connectionOptions(url: string, user: MeshUser | undefined, given: Credentials): ConnectionOptions {
  const { seedFile } = given;
  const options: ConnectionOptions = {};
  if (user) options.inboxPrefix = inboxOf(user);
  if (seedFile) options.authenticator = nkeyAuthenticator(seedsOf(seedFile));
  const tls = tlsOptions(given);
  // An address that says TLS is not to be talked to without, should someone else answer there.
  if (tls || /^(tls|wss):/.test(url)) options.tls = tls ?? {};
  return options;
}

/** The seed as the file has it now; where that is just being written, as it was. */
function seedsOf(file: string): () => Uint8Array {
  let last = readSeed(file);
  return () => {
    try {
      last = readSeed(file);
    } catch {
      // its former one is refused, and said so, unless it is still good
    }
    return last;
  };
}

function tlsOptions({ tlsCa: caFile, tlsCert: certFile, tlsKey: keyFile }: Credentials): TlsOptions | undefined {
  const { tlsCert: cert, tlsKey: key } = CREDENTIALS_SETTINGS;
  if (Boolean(certFile) !== Boolean(keyFile))
    throw new AtelierError('INVALID_ARGUMENT', `${cert} and ${key} belong together: set both, or neither`);
  const files = { tlsCa: caFile, tlsCert: certFile, tlsKey: keyFile };
  for (const [name, file] of Object.entries(files) as [keyof typeof files, string | undefined][]) {
    try {
      if (file) readFileSync(file);
    } catch (error) {
      const message = `${CREDENTIALS_SETTINGS[name]} cannot be read: ${(error as Error).message}`;
      throw new AtelierError('INVALID_ARGUMENT', message, {}, { cause: error });
    }
  }
  if (!caFile && !certFile) return undefined;
  return { ...(caFile && { caFile }), ...(certFile && { certFile, keyFile }) };
}

/** Why no connection came to be, in words for who set it up. */
export function noMesh(
  url: string,
  user: MeshUser | undefined,
  { seedFile }: Credentials,
  cause: unknown,
): AtelierError {
  const { seedFile: setting, tlsCa, tlsCert } = CREDENTIALS_SETTINGS;
  const said = (cause as Error).message;
  const whose = user ? `user ${user}` : 'a user';
  if (cause instanceof AtelierError)
    return new AtelierError(cause.code, `NATS at ${url} ${said}`, {}, { cause: cause.cause });
  if (isNobody(cause)) {
    const why = seedFile
      ? `has no user with the seed in ${seedFile} (${setting}): give it the seed of its ${whose}`
      : `wants to know who asks: set ${setting} to the file with the seed of its ${whose}`;
    return new AtelierError('UNAUTHENTICATED', `NATS at ${url} ${why} (${said})`, {}, { cause });
  }
  if (isCertificateRefused(cause)) {
    const remedy = `set ${tlsCa} to the certificate of its authority, and ${tlsCert} where it asks for one`;
    return new AtelierError('UNAUTHENTICATED', `NATS at ${url} cannot be trusted (${said}): ${remedy}`, {}, { cause });
  }
  return new AtelierError(
    'UNAVAILABLE',
    `no mesh at ${url}: ${said}. Start it with "atelier up", or set ATELIER_NATS_URL`,
    {},
    { cause },
  );
}
