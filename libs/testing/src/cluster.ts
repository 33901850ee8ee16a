import { MAX_MESSAGE_BYTES } from '@atelier/contracts';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { natsServerBinary } from '@atelier/mesh';
import { freePort } from './nats';
import { signalProcess } from './signals';

export interface TestCluster {
  /** Of all servers, separated by commas. */
  url: string;
  /** SIGKILL for one of them. */
  kill(index: number): Promise<void>;
  /** Starts one that was killed again, on its port and store. */
  startAgain(index: number): void;
  signal(index: number, signal: NodeJS.Signals): void;
  stop(): Promise<void>;
}

/** Three nats-servers on this machine that are one NATS. */
export async function startTestCluster(): Promise<TestCluster> {
  const folder = mkdtempSync(join(tmpdir(), 'atelier-cluster-'));
  const servers: { client: number; route: number }[] = [];
  for (let i = 0; i < 3; i++) servers.push({ client: await freePort(), route: await freePort() });
  const routes = servers.map(({ route }) => `nats://127.0.0.1:${route}`).join(', ');
  const processes: ChildProcess[] = servers.map(({ client, route }, index) => {
    const store = join(folder, String(index));
    mkdirSync(store);
    const lines = [
      `server_name: n${index}`,
      `listen: "127.0.0.1:${client}"`,
      `max_payload: ${MAX_MESSAGE_BYTES + 64 * 1024}`,
      'max_pending: 256MB',
      `cluster { name: atelier, listen: "127.0.0.1:${route}", routes: [${routes}] }`,
      `jetstream { store_dir: "${store}", max_file_store: 4GB }`,
    ];
    writeFileSync(join(store, 'nats.conf'), lines.join('\n'));
    return startServer(store);
  });
  const kill = async (index: number): Promise<void> => {
    const process = processes[index]!;
    if (process.exitCode !== null || process.signalCode !== null) return;
    const ended = once(process, 'exit');
    process.kill('SIGKILL');
    await ended;
  };
  return {
    url: servers.map(({ client }) => `nats://127.0.0.1:${client}`).join(','),
    kill,
    startAgain(index) {
      processes[index] = startServer(join(folder, String(index)));
    },
    signal(index, signal) {
      signalProcess(processes[index]!.pid!, signal);
    },
    async stop() {
      await Promise.all(processes.map((_process, index) => kill(index)));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function startServer(store: string): ChildProcess {
  return spawn(natsServerBinary(), ['-c', join(store, 'nats.conf')], { stdio: 'ignore' });
}
