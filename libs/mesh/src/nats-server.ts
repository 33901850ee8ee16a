import { AtelierError, MAX_MESSAGE_BYTES } from '@atelier/contracts';
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface NatsServer {
  url: string;
  /** Resolves when the process is gone, with how it ended. */
  readonly ended: Promise<string>;
  /** Lets it write what it has to disk and ends it. */
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
}

/** What a nats-server needs to carry the mesh, as its configuration file. */
export function natsServerConfig({ storeDir, host, port }: { storeDir: string; host: string; port: number }): string {
  return [
    `listen: "${host}:${port === 0 ? -1 : port}"`,
    `max_payload: ${MAX_MESSAGE_BYTES + 64 * 1024}`, // headers travel beside the payload
    'max_pending: 256MB',
    `jetstream { store_dir: "${storeDir}", max_file_store: 1TB, max_memory_store: 64MB }`,
    `ports_file_dir: "${storeDir}"`,
  ].join('\n');
}

const STARTUP_MS = 15_000;

/** Starts nats-server with JetStream on local disk and waits until it answers. */
export async function startNatsServer({ storeDir, port = 0, host = '127.0.0.1', binary = process.env['ATELIER_NATS_SERVER'] ?? 'nats-server' }: NatsServerOptions): Promise<NatsServer> {
  mkdirSync(storeDir, { recursive: true });
  const config = join(storeDir, 'nats-server.conf');
  writeFileSync(config, natsServerConfig({ storeDir, host, port }));
  const child = spawn(binary, ['-c', config], { stdio: ['ignore', 'ignore', 'pipe'], detached: true });
  let log = '';
  child.stderr.on('data', (data: Buffer) => (log = (log + data.toString()).slice(-4000)));
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve((error as NodeJS.ErrnoException).code === 'ENOENT' ? 'it is not installed (Debian: apt-get install nats-server)' : error.message));
    child.once('exit', (code, signal) => resolve(`it ended with ${signal ?? code}: ${log.trim().split('\n').slice(-3).join(' | ')}`));
  });
  let over: string | undefined;
  void ended.then((why) => (over = why));
  const ports = join(storeDir, `nats-server_${child.pid}.ports`);
  const deadline = Date.now() + STARTUP_MS;
  let url: string | undefined;
  while (!url && over === undefined && Date.now() < deadline) {
    await sleep(20);
    try {
      url = (JSON.parse(readFileSync(ports, 'utf8')) as { nats: string[] }).nats[0];
    } catch {
      // not written yet
    }
  }
  if (!url) {
    if (over === undefined) child.kill('SIGKILL');
    throw new AtelierError('UNAVAILABLE', `nats-server did not start: ${over ?? `no answer in ${STARTUP_MS / 1000} s`}`);
  }
  child.unref();
  (child.stderr as unknown as { unref(): void }).unref();
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (over === undefined) child.kill(signal);
    await ended;
    rmSync(ports, { force: true });
  };
  return { url, ended, stop: () => end('SIGTERM'), kill: () => end('SIGKILL') };
}
