import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AtelierClient } from '@atelier/client';
import { streams } from '@atelier/contracts';
import { seedFile } from '@atelier/mesh';
import { killInTheAct, repositoryRoot, signalProcess, tinyCheckpoint, waitFor } from '@atelier/testing';
import { Api } from './api';

type ConsumerInfo = Awaited<ReturnType<AtelierClient['mesh']['jsm']['consumers']['info']>>;

interface Announcement {
  gateway: string;
  nats: string;
  services: Record<string, number>;
}

const STARTING_MS = 90_000;

/** All of Atelier as a person runs it: "atelier up", which starts nats-server and every service as a process and starts again what dies. */
export class Atelier {
  private log = '';
  private up!: ChildProcess;
  private ended!: Promise<void>;

  private constructor(
    private readonly folder: string,
    private readonly settings: Record<string, string>,
  ) {}

  /** Over HTTP. */
  api!: Api;
  /** Over NATS, as the command line does it. */
  client!: AtelierClient;
  /** Process ids as they were at the start, by service. */
  pids!: Readonly<Record<string, number>>;

  /**
   * Resolves when every service is ready. Settings by their names in the environment.
   * @param fill puts into the data folder what is there already when Atelier is started
   */
  static async start(settings: Record<string, string> = {}, fill?: (data: string) => void): Promise<Atelier> {
    const atelier = new Atelier(mkdtempSync(join(tmpdir(), 'atelier-')), settings);
    try {
      fill?.(atelier.folder);
      await atelier.launch();
    } catch (error) {
      await atelier.stop();
      throw error;
    }
    return atelier;
  }

  private async launch(): Promise<void> {
    const { settings } = this;
    const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('ATELIER_')));
    // Short captions and one thread each keep six services at ease on a small machine.
    const env = {
      ...clean,
      ATELIER_NATS_PORT: '0',
      ATELIER_TEXT_TOKENS: '32',
      ATELIER_COMPUTE: 'cpu',
      ATELIER_THREADS: '1',
      ...settings,
    };
    const args = [
      join(repositoryRoot, 'cli', 'bin', 'atelier.js'),
      'up',
      '--json',
      '--port',
      '0',
      '--data',
      this.folder,
      '--model',
      settings['ATELIER_MODEL'] ?? tinyCheckpoint(),
    ];
    const up = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    this.up = up;
    this.ended = new Promise((resolve) => up.once('close', () => resolve()));
    let out = '';
    up.stdout.on('data', (data: Buffer) => (out += data.toString()));
    up.stderr.on('data', (data: Buffer) => (this.log += data.toString()));
    const line = await waitFor(
      'Atelier to be up',
      () => {
        if (up.exitCode !== null) throw new Error(`"atelier up" ended with ${up.exitCode}: ${this.log}`);
        return out.split('\n').find((text) => text.includes('"type":"up"'));
      },
      STARTING_MS,
    );
    const { gateway, nats, services } = JSON.parse(line) as Announcement;
    this.api = new Api(gateway, settings['ATELIER_API_TOKEN']);
    // Of the data folder, where nobody else finds it: specs look into queues as well.
    const credentials = { seedFile: seedFile(join(this.folder, 'seeds'), 'admin') };
    this.client = await AtelierClient.connect(nats, 'test', { user: 'admin', credentials });
    this.pids = services;
  }

  /** Of up itself. */
  get pid(): number {
    return this.up.pid!;
  }

  /** Kills up, as the kernel may, and starts it again on the same data. What it looked after ends by itself, or is ended by the next. */
  async dieAndStart(): Promise<void> {
    await this.client.close();
    this.up.kill('SIGKILL');
    await this.ended;
    await this.launch();
  }

  get natsPid(): number {
    const ports = readdirSync(join(this.folder, 'nats')).flatMap(
      (name) => /^nats-server_(\d+)\.ports$/.exec(name)?.[1] ?? [],
    );
    // A killed server leaves its file behind: the one that is alive counts.
    return ports.map(Number).find(isAlive) ?? 0;
  }

  /** Stops a service where it is, so that its work waits for it. */
  hold(service: string): void {
    signalProcess(this.pids[service]!, 'SIGSTOP');
  }

  /** Lets a held service go on, and kills it when it is in the middle of work of that subject: it has run for two moments, and has a message in hand. */
  async killAtWork(service: string, subject: string): Promise<void> {
    const queue = async (): Promise<ConsumerInfo> =>
      this.client.mesh.jsm.consumers.info(streams.WORK, subject.replaceAll('.', '-'));
    await waitFor(`work for ${service}`, async () => left(await queue()) > 0);
    const pid = this.pids[service]!;
    process.kill(pid, 'SIGCONT');
    let moments = 0;
    await killInTheAct({ pid, kill: () => this.kill(pid) }, async () =>
      ++moments > 2 ? (await queue()).num_ack_pending : 0,
    );
  }

  /**
   * Resolves when every message of every work subject was handled. The queue's own count of messages does not tell: nats-server 2.9 that was
   * killed finds again on its disk what was acknowledged a moment before, keeps it, and hands it to nobody.
   */
  async idle(): Promise<void> {
    const { jsm } = this.client.mesh;
    await waitFor('all work to be done', async () =>
      (await jsm.consumers.list(streams.WORK).next()).every((queue) => left(queue) === 0),
    );
  }

  /** SIGKILL, and wait until the process is gone. */
  async kill(pid: number): Promise<void> {
    process.kill(pid, 'SIGKILL');
    await waitFor(`process ${pid} to be gone`, () => !isAlive(pid));
  }

  /** What nats-server did not let a service do: contracts give each service all that it needs. */
  get violations(): string[] {
    const log = readFileSync(join(this.folder, 'logs', 'nats-server.log'), 'utf8');
    return log.split('\n').filter((line) => /Violation/.test(line));
  }

  /** What "up" has told so far of processes that ended and were started again. */
  get restarts(): string[] {
    return this.log.split('\n').filter((line) => /is started again/.test(line));
  }

  /** Everything that "up" and, through it, the services had to say. */
  get said(): string {
    return this.log;
  }

  async stop(): Promise<void> {
    await this.client?.close();
    this.up?.kill('SIGTERM');
    await this.ended;
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Messages not handed out yet, and those handed out and not settled. */
const left = ({ num_pending, num_ack_pending }: ConsumerInfo): number => num_pending + num_ack_pending;

export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
