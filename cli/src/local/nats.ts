import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startNatsServer, type NatsServer } from '@atelier/mesh';

const LEFTOVER_MS = 10_000;

/** nats-server on a store of its own, started again on the same port and store when it ends unasked. */
export class LocalNats {
  private stopping = false;

  private constructor(
    readonly url: string,
    private readonly store: string,
    private server: NatsServer,
    private readonly onEnd: (how: string) => void,
  ) {
    this.watch();
  }

  /** @param port tried first; where another process has it, any free one is taken. 0: any free one */
  static async start(store: string, port: number, onEnd: (how: string) => void): Promise<LocalNats> {
    await endLeftover(store);
    // Asking first whether the port is free would only tell how things were a moment ago.
    const server = await startNatsServer({ storeDir: store, port }).catch((error: Error) => {
      if (port === 0 || !error.message.includes('address already in use')) throw error;
      return startNatsServer({ storeDir: store });
    });
    return new LocalNats(server.url, store, server, onEnd);
  }

  async stop(): Promise<void> {
    this.stopping = true;
    // The server's process holds no one up by itself, so that a forgotten one does not; its end is waited for all the same.
    const hold = setInterval(() => undefined, 1000);
    await this.server.stop().finally(() => clearInterval(hold));
  }

  async kill(): Promise<void> {
    this.stopping = true;
    await this.server.kill();
  }

  private watch(): void {
    void this.server.ended.then(async (how) => {
      for (let delay = 500; !this.stopping; delay = Math.min(delay * 2, 30_000)) {
        this.onEnd(how);
        await sleep(delay);
        if (this.stopping) return;
        try {
          const server = await startNatsServer({ storeDir: this.store, port: Number(new URL(this.url).port) });
          this.server = server;
          // Asked to stop while it was starting: the one that is stopped must be this one.
          if (this.stopping) return void (await server.stop());
          return this.watch();
        } catch (error) {
          how = (error as Error).message;
        }
      }
    });
  }
}

/** A nats-server that a killed up left on this store: two on one store would spoil it, so it is asked to end first. */
export async function endLeftover(store: string): Promise<void> {
  for (const file of filesOf(store)) {
    const pid = Number(/^nats-server_(\d+)\.ports$/.exec(file)?.[1]);
    if (!pid) continue;
    if (commandOf(pid).includes(store)) {
      process.kill(pid, 'SIGTERM');
      for (const deadline = Date.now() + LEFTOVER_MS; commandOf(pid).includes(store) && Date.now() < deadline; ) await sleep(50);
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
    return execFileSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } catch {
    return '';
  }
}
