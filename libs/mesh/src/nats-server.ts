import { AtelierError, MAX_MESSAGE_BYTES } from '@atelier/contracts';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PublicKeys } from './users/keys';
import { privately } from './privately';
import { usersConfig } from './users/server-config';

export interface NatsServer {
  url: string;
  /** Resolves when the process is gone, with how it ended. */
  readonly ended: Promise<string>;
  /**
   * Lets it write what it has to disk and ends it; one that does not end by then (out of disk, 2.9 hangs for ever) is
   * killed.
   */
  stop(): Promise<void>;
  /** SIGKILL: for tests of what survives. */
  kill(): Promise<void>;
}

export interface NatsServerOptions {
  /** JetStream's folder. What is in it is served again. */
  storeDir: string;
  /** 0 or none: any free one. */
  port?: number;
  host?: string;
  binary?: string;
  /** Bytes beyond which it refuses to keep more, rather than meet the end of its disk. */
  maxFileStore?: number;
  /** Has each write on its disk before it is acknowledged: only where natsServerSyncs. */
  syncAlways?: boolean;
  /** Lets in these alone, each to what is its own; without it everybody, to everything. */
  users?: PublicKeys;
  /** Files; then it is spoken to by TLS alone, and with `ca` by those alone whose certificate is from there. */
  tls?: { cert: string; key: string; ca?: string };
  /** What it logs, as it comes. */
  onLog?: (text: string) => void;
  /** How long `stop` waits. Default: ten seconds. */
  stopMs?: number;
  /** Gives up starting. */
  signal?: AbortSignal;
}

/** What a nats-server needs to carry the mesh, as its configuration file. */
export function natsServerConfig(options: {
  storeDir: string;
  host: string;
  port: number;
  maxFileStore?: number;
  syncAlways?: boolean;
  users?: NatsServerOptions['users'];
  tls?: NatsServerOptions['tls'];
}): string {
  const { storeDir, host, port, maxFileStore = WITHOUT_LIMIT, syncAlways = false, users, tls } = options;
  const sync = syncAlways ? ', sync_interval: always' : '';
  return [
    `listen: "${host}:${port === 0 ? -1 : port}"`,
    `max_payload: ${MAX_MESSAGE_BYTES + 64 * 1024}`, // headers travel beside the payload
    'max_pending: 256MB',
    `jetstream { store_dir: "${storeDir}", max_file_store: ${Math.floor(maxFileStore)}, max_memory_store: 64MB${sync} }`,
    `ports_file_dir: "${storeDir}"`,
    ...(tls ? [tlsConfig(tls)] : []),
    ...(users ? [usersConfig(users)] : []),
  ].join('\n');
}

function tlsConfig({ cert, key, ca }: NonNullable<NatsServerOptions['tls']>): string {
  const client = ca ? `, ca_file: "${ca}", verify: true` : '';
  return `tls { cert_file: "${cert}", key_file: "${key}"${client} }`;
}

/** It answers when it has read its store, and after a kill that is all of it. */
const STARTUP_MS = 120_000;
const STOP_MS = 10_000;
const PORTS_MS = 500;
/** By its log rather than by its ports file, for which a full disk has no room. */
const LISTENS = /Listening for client connections on (\S+)/;
const READY = /Server is ready/;
const WITHOUT_LIMIT = 1024 ** 4;

/** The nats-server that is started on this machine. */
export function natsServerBinary(): string {
  return process.env['ATELIER_NATS_SERVER'] || 'nats-server';
}

/** Whether it can have each write on its disk before it acknowledges it: since 2.10. One of which nothing is known cannot. */
export function natsServerSyncs(binary = natsServerBinary()): boolean {
  try {
    const [, major, minor] = /v(\d+)\.(\d+)\./.exec(execFileSync(binary, ['--version'], { encoding: 'utf8' })) ?? [];
    return Number(major) > 2 || (Number(major) === 2 && Number(minor) >= 10);
  } catch {
    return false;
  }
}

/** What it can make use of: in the environment of whoever starts it there may be tokens. */
function serverEnvironment(): NodeJS.ProcessEnv {
  const isForIt = (name: string): boolean => name === 'PATH' || /^GO[A-Z]+$/.test(name); // GOMEMLIMIT, GOMAXPROCS
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => isForIt(name)));
}

/** Starts nats-server with JetStream on local disk and waits until it answers. */
export async function startNatsServer(options: NatsServerOptions): Promise<NatsServer> {
  const { storeDir, binary = natsServerBinary(), onLog, stopMs = STOP_MS, signal } = options;
  const config = writeConfig(options);
  const child = privately(() =>
    spawn(binary, ['-c', config], { stdio: ['ignore', 'ignore', 'pipe'], detached: true, env: serverEnvironment() }),
  );
  let log = '';
  let address: string | undefined;
  child.stderr.on('data', (data: Buffer) => {
    log = (log + data.toString()).slice(-4000);
    if (READY.test(log)) address ??= LISTENS.exec(log)?.[1];
    onLog?.(data.toString());
  });
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) =>
      resolve(
        (error as NodeJS.ErrnoException).code === 'ENOENT'
          ? 'it is not installed (Debian: apt-get install nats-server)'
          : error.message,
      ),
    );
    // Not at its exit: what it said last, such as why it ended, may still be on its way then.
    child.once('close', (code, signal) =>
      resolve(`it ended with ${signal ?? code}: ${log.trim().split('\n').slice(-3).join(' | ')}`),
    );
  });
  let over: string | undefined;
  void ended.then((why) => (over = why));
  const deadline = Date.now() + STARTUP_MS;
  while (!address && over === undefined && !signal?.aborted && Date.now() < deadline) await sleep(20);
  if (!address) {
    if (over === undefined) child.kill('SIGKILL');
    throw new AtelierError(
      'UNAVAILABLE',
      `nats-server did not start: ${over ?? (signal?.aborted ? 'it was called off' : `no answer in ${STARTUP_MS / 1000} s`)}`,
    );
  }
  // By its name others find the process; it is written a moment after, where there is room for it.
  const ports = join(storeDir, `nats-server_${child.pid}.ports`);
  for (const until = Date.now() + PORTS_MS; !existsSync(ports) && over === undefined && Date.now() < until;)
    await sleep(5);
  child.unref();
  (child.stderr as unknown as { unref(): void }).unref();
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (over === undefined) await endWithin(child, signal, ended, stopMs);
    rmSync(ports, { force: true });
  };
  return { url: `nats://${address}`, ended, stop: () => end('SIGTERM'), kill: () => end('SIGKILL') };
}

function writeConfig({ storeDir, port = 0, host = '127.0.0.1', ...rest }: NatsServerOptions): string {
  const config = join(storeDir, 'nats-server.conf');
  try {
    mkdirSync(storeDir, { recursive: true });
    writeFileSync(config, natsServerConfig({ storeDir, host, port, ...rest }), { mode: 0o600 });
    return config;
  } catch (error) {
    throw new AtelierError(
      'UNAVAILABLE',
      `nats-server did not start: ${(error as Error).message}`,
      {},
      { cause: error },
    );
  }
}

async function endWithin(
  child: ChildProcess,
  signal: NodeJS.Signals,
  ended: Promise<string>,
  ms: number,
): Promise<void> {
  child.kill(signal);
  const hard = setTimeout(() => child.kill('SIGKILL'), ms);
  await ended.finally(() => clearTimeout(hard));
}
