// What each kind of stop costs: what is lost of the work in hand, and how long until it goes on.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AtelierClient } from '@atelier/client';
import type { Run } from '@atelier/contracts';
import { startServiceProcess, startTestMesh, signalProcess, syntheticPictures, tinyCheckpoint } from '@atelier/testing';
import type { ServiceProcess, TestMesh } from '@atelier/testing';
import { Heard } from './heard';

const TRAINING = { totalSteps: 400, accumulation: 2, rank: 2, seed: 7, learningRate: 1e-3, checkpointEvery: 25 };
const DRAWING = { prompt: 'a tomato circle', width: 256, height: 256, steps: 1000, seed: 5 };
/** Steps into a run or a drawing at which it is disturbed. */
const MIDDLE = 60;

/** What was told before a process died has been heard by then. */
const IN_FLIGHT_MS = 200;

export interface Cost {
  what: string;
  /** How the process ended, and in how many seconds; none: it did not. */
  exit?: { code: number | null; seconds: number };
  /** Steps that were taken and had to be taken again. */
  lost: number;
  /** Seconds from the disturbance, or from its end where the work can only wait for that, to a step that was not there before. */
  goesOnAfter: number;
  /** The adapter or picture has the bytes that it has undisturbed. */
  same: boolean;
}

type Kind = 'trainer' | 'inference';

export class Stops {
  private readonly services: ServiceProcess[] = [];
  private expected!: Record<Kind, Buffer>;
  private runs = 0;

  private constructor(
    private readonly test: TestMesh,
    private readonly client: AtelierClient,
    private readonly folder: string,
  ) {}

  static async start(): Promise<Stops> {
    const test = await startTestMesh();
    const stops = new Stops(test, new AtelierClient(test.mesh), mkdtempSync(join(tmpdir(), 'atelier-stops-')));
    try {
      await stops.begin();
    } catch (error) {
      await stops.stop();
      throw error;
    }
    return stops;
  }

  async stop(): Promise<void> {
    await Promise.all(this.services.map((service) => service.stop()));
    await this.test.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** One of two is asked to end, or ended, in the middle of its work. */
  async ended(kind: Kind, signal: 'SIGTERM' | 'SIGKILL'): Promise<Cost> {
    return this.disturbed(kind, `${kind}: ${signal}, another is there`, async (service) => {
      const asked = Date.now();
      const code = await (signal === 'SIGTERM' ? service.stop() : service.kill().then(() => null));
      return { exit: { code, seconds: (Date.now() - asked) / 1000 } };
    });
  }

  /** One of two stands still, and goes on when the other has taken its work. */
  async frozen(kind: Kind, seconds: number): Promise<Cost> {
    return this.disturbed(kind, `${kind}: SIGSTOP for ${seconds} s, another is there`, (service) => {
      signalProcess(service.pid, 'SIGSTOP');
      setTimeout(() => goOn(service.pid), seconds * 1000);
      return Promise.resolve({});
    });
  }

  /** nats-server stands still, and then goes on. */
  async natsFrozen(kind: Kind, seconds: number): Promise<Cost> {
    return this.disturbed(kind, `nats-server: SIGSTOP for ${seconds} s, ${kind} at work`, async () => {
      this.test.signalNats('SIGSTOP');
      await sleep(seconds * 1000);
      this.test.signalNats('SIGCONT');
      return { from: Date.now() };
    });
  }

  async natsKilled(kind: Kind): Promise<Cost> {
    return this.disturbed(kind, `nats-server: SIGKILL and started again, ${kind} at work`, async () => {
      await this.test.restartNats();
      return { from: Date.now() };
    });
  }

  /** As a drain of the only node does it: the service is asked to end while nats-server does not answer. */
  async endedWhileNatsIsAway(kind: Kind): Promise<Cost> {
    return this.disturbed(kind, `${kind}: SIGTERM while nats-server does not answer`, async (service) => {
      this.test.signalNats('SIGSTOP');
      const asked = Date.now();
      const code = await service.stop();
      const exit = { code, seconds: (Date.now() - asked) / 1000 };
      this.test.signalNats('SIGCONT');
      return { exit, from: Date.now() };
    });
  }

  /** Thirty polite stops of one run, each after some steps of progress. */
  async thirtyTimes(): Promise<Cost & { seconds: number }> {
    const start = Date.now();
    let service = await this.startService('trainer');
    const run = await this.startRun();
    const heard = this.listen('trainer', run.id);
    let exit = { code: 0 as number | null, seconds: 0 };
    for (let stops = 1; stops <= 30; stops++) {
      await heard.later(heard.last + 1);
      const asked = Date.now();
      const code = await service.stop();
      const seconds = (Date.now() - asked) / 1000;
      exit = { code: exit.code === 0 ? code : exit.code, seconds: Math.max(exit.seconds, seconds) };
      service = await this.startService('trainer');
    }
    await heard.over();
    const same = (await this.result('trainer', run.id)).equals(this.expected.trainer);
    await this.clear();
    const seconds = (Date.now() - start) / 1000;
    return { what: 'trainer: 30 × SIGTERM in one run', exit, lost: heard.lost, goesOnAfter: 0, same, seconds };
  }

  private async begin(): Promise<void> {
    const pictures = join(this.folder, 'pictures');
    await syntheticPictures(pictures, 8);
    for (const encoder of ['ingest', 'latents', 'prompts']) await this.startService(encoder);
    const files = readdirSync(pictures).map((name) => ({ name, data: readFileSync(join(pictures, name)) }));
    await this.client.createDataset({ name: 'pictures', width: 64, height: 64, files });
    this.expected = { trainer: await this.undisturbed('trainer'), inference: await this.undisturbed('inference') };
  }

  private async undisturbed(kind: Kind): Promise<Buffer> {
    await this.startService(kind);
    const id = await this.begun(kind);
    await this.listen(kind, id).over();
    const result = await this.result(kind, id);
    await this.clear();
    return result;
  }

  /** Disturbs the one that has the work in its middle; another of its kind comes just before, and is idle. */
  private async disturbed(
    kind: Kind,
    what: string,
    disturb: (service: ServiceProcess) => Promise<{ exit?: Cost['exit']; from?: number }>,
  ): Promise<Cost> {
    const service = await this.startService(kind);
    const id = await this.begun(kind);
    const heard = this.listen(kind, id);
    await heard.reached(Math.round(MIDDLE / 2));
    await this.startService(kind);
    await heard.reached(MIDDLE);
    if (heard.isOver) throw new Error(`${what}: it was over before it was disturbed, it needs more steps`);
    const asked = Date.now();
    const { exit, from = asked } = await disturb(service);
    await sleep(IN_FLIGHT_MS);
    const last = heard.last;
    const at = await heard.later(last);
    await heard.over();
    const same = (await this.result(kind, id)).equals(this.expected[kind]);
    // The store takes a run's step once; who goes on with it says from where.
    const lost = kind === 'trainer' ? Math.max(0, last - (this.goneOnFrom() ?? last)) : heard.lost;
    await this.clear();
    return { what, exit, lost, goesOnAfter: (at - from) / 1000, same };
  }

  private listen(kind: Kind, id: string): Heard {
    return new Heard(kind === 'trainer' ? this.client.runEvents(id) : this.client.generationEvents(id));
  }

  private async begun(kind: Kind): Promise<string> {
    if (kind === 'trainer') return (await this.startRun()).id;
    return (await this.client.generate(DRAWING)).id;
  }

  private startRun(): Promise<Run> {
    return this.client.startFinetune({ dataset: 'pictures', name: `run-${++this.runs}`, ...TRAINING });
  }

  private async result(kind: Kind, id: string): Promise<Buffer> {
    const stream =
      kind === 'trainer'
        ? await this.client.adapterFile((await this.client.run(id)).name)
        : await this.client.image((await this.client.generation(id)).images[0]!);
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks);
  }

  /** The step from which a trainer has gone on, if one has. */
  private goneOnFrom(): number | undefined {
    const logs = this.services.map((service) => service.log()).join('\n');
    const steps = [...logs.matchAll(/"step":(\d+),"msg":"goes on from/g)].map(([, step]) => Number(step));
    return steps.at(-1);
  }

  private async startService(name: string): Promise<ServiceProcess> {
    const service = await startServiceProcess(name, {
      ATELIER_NATS_URL: this.test.url,
      ATELIER_MODEL: tinyCheckpoint(),
      ATELIER_DATA: this.folder,
      ATELIER_TEXT_TOKENS: '32',
      ATELIER_THREADS: '1',
      ATELIER_COMPUTE: 'cpu',
      ATELIER_LOG_LEVEL: 'info',
    });
    this.services.push(service);
    return service;
  }

  /** Ends trainers and inference; encoders stay. */
  private async clear(): Promise<void> {
    await Promise.all(this.services.splice(3).map((service) => service.stop()));
  }
}

/** It may have been ended meanwhile. */
function goOn(pid: number): void {
  try {
    process.kill(pid, 'SIGCONT');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
