import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { natsServerSyncs, startNatsServer, type NatsServer, type PublicKeys } from '@atelier/mesh';
import { diskOf, reservedBy, storeLimit, usedBy } from './disk';
import type { LogFile } from './log-file';

const LEFTOVER_MS = 10_000;
const FIRST_PAUSE_MS = 500;
/** Short, since the reason may be a disk that has room again at any moment. */
const LONGEST_PAUSE_MS = 5000;

export interface LocalNatsOptions {
  /** Tried first; where another process has it, any free one is taken. 0: any free one. */
  port: number;
  users?: PublicKeys;
  /** An end that nobody asked for, or a start that failed, once for each reason. */
  onEnd: (how: string) => void;
  log?: LogFile;
}

/**
 * nats-server on a store of its own, started again on the same port and store when it ends unasked. Its limit is the
 * disk's.
 */
export class LocalNats {
  private readonly ending = new AbortController();
  private watching: Promise<void> = Promise.resolve();
  private restarting = false;
  /** What the store holds, once that is known: its files may take more, which nats-server will not give back. Bytes. */
  private used?: number;
  /** What the server in force was told to keep at most. Bytes. */
  limit = 0;

  private constructor(
    readonly store: string,
    private readonly options: LocalNatsOptions,
    private server?: NatsServer,
  ) {}

  get url(): string {
    return this.server!.url;
  }

  static async start(store: string, options: LocalNatsOptions): Promise<LocalNats> {
    await endLeftover(store);
    const nats = new LocalNats(store, options);
    // Asking first whether the port is free would only tell how things were a moment ago.
    nats.server = await nats.launch(options.port).catch((error: Error) => {
      if (options.port === 0 || !error.message.includes('address already in use')) throw error;
      return nats.launch(0);
    });
    nats.watching = nats.watch(nats.server);
    return nats;
  }

  /**
   * Ends the server, or kills it, and starts it anew, with the limit that the disk has for a store of so many bytes.
   */
  async restart(used: number | undefined, how: 'restart' | 'kill'): Promise<void> {
    this.used = used ?? this.used;
    this.restarting = true;
    await (how === 'kill' ? this.server!.kill() : this.server!.stop());
  }

  async stop(): Promise<void> {
    this.ending.abort();
    // The server's process holds no one up by itself, so that a forgotten one does not; its end is waited for all the same.
    const hold = setInterval(() => undefined, 1000);
    await this.server!.stop().finally(() => clearInterval(hold));
    await this.watching; // one that was just being started is ended as well
  }

  async kill(): Promise<void> {
    this.ending.abort();
    await this.server!.kill();
  }

  private async launch(port: number): Promise<NatsServer> {
    const { store } = this;
    const { log, users } = this.options;
    mkdirSync(store, { recursive: true });
    const used = this.used ?? usedBy(join(store, 'jetstream'));
    this.used = undefined; // known for the restart that was asked for, and no later one
    this.limit = storeLimit(diskOf(store), used, reservedBy(store));
    return startNatsServer({
      storeDir: store,
      port,
      maxFileStore: this.limit,
      syncAlways: natsServerSyncs(),
      users,
      onLog: (text) => log?.write(text),
      signal: this.ending.signal,
    });
  }

  private async watch(server: NatsServer): Promise<void> {
    const { signal } = this.ending;
    for (;;) {
      let how = await server.ended;
      let told: string | undefined;
      let next: NatsServer | undefined;
      for (let pause = FIRST_PAUSE_MS; !next; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
        if (!signal.aborted && !this.restarting) {
          if (how !== told) this.options.onEnd(how);
          told = how;
          await sleep(pause, undefined, { signal }).catch(() => undefined);
        }
        this.restarting = false;
        if (signal.aborted) return;
        next = await this.launch(Number(new URL(this.url).port)).catch((error: Error) => void (how = error.message));
      }
      server = this.server = next;
      // Asked to stop at the last moment of its start.
      if (signal.aborted) return server.stop();
    }
  }
}

/** A nats-server that a killed up left on this store: two on one store would spoil it, so it is asked to end first. */
export async function endLeftover(store: string): Promise<void> {
  for (const file of filesOf(store)) {
    const pid = Number(/^nats-server_(\d+)\.ports$/.exec(file)?.[1]);
    if (!pid) continue;
    if (commandOf(pid).includes(store)) {
      process.kill(pid, 'SIGTERM');
      for (const deadline = Date.now() + LEFTOVER_MS; commandOf(pid).includes(store) && Date.now() < deadline;)
        await sleep(50);
      if (commandOf(pid).includes(store)) process.kill(pid, 'SIGKILL');
    }
    rmSync(join(store, file), { force: true });
  }
}

function filesOf(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** The command line of a process, or nothing where there is none: a pid alone may by now be someone else's. */
function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    if (process.platform === 'linux') return '';
  }
  try {
    return execFileSync('ps', ['-o', 'command=', '-p', String(pid)], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  } catch {
    return '';
  }
}
