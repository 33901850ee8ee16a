import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeTensors } from '@atelier/checkpoint';
import {
  AdapterInfo,
  completeTrainOptions,
  Event,
  Manifest,
  Run,
  RunState,
  streams,
  subjects,
  trainOptionsMessage,
  TrainWork,
  type CompleteTrainOptions,
  type WorkSubject,
} from '@atelier/contracts';
import { publishWork, startService, type RunningService } from '@atelier/mesh';
import { BlobStore, StateStore, TensorStore, type BlobInfo } from '@atelier/store';
import {
  startServiceProcess,
  startTestMesh,
  tinyCheckpoint,
  waitFor,
  type ServiceProcess,
  type TestMesh,
} from '@atelier/testing';
import { TrainerConfig } from '../src/trainer.config';
import { TrainerModule } from '../src/trainer.module';

/** Sizes of the tiny checkpoint. */
const JOINT = 64;
const POOLED = 32;
export const TEXT_TOKENS = 8;

/** Repeatable values around 0, others for each name. */
export function values(count: number, name: string): Float32Array {
  let state = [...name].reduce((hash, letter) => Math.imul(hash ^ letter.charCodeAt(0), 16777619) >>> 0, 2166136261);
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

export function latentsBytes(name: string, width = 64, height = 64): Uint8Array {
  const shape = [16, height / 8, width / 8];
  const count = shape.reduce((product, n) => product * n);
  return encodeTensors({
    mean: { shape, data: values(count, `mean ${name}`) },
    logvar: { shape, data: values(count, `logvar ${name}`).map((value) => value - 3) },
  });
}

export function promptsBytes(name: string): Uint8Array {
  return encodeTensors({
    prompt_embeds: { shape: [TEXT_TOKENS, JOINT], data: values(TEXT_TOKENS * JOINT, `t5 ${name}`) },
    pooled: { shape: [POOLED], data: values(POOLED, `clip ${name}`) },
  });
}

/** The trainer on a real nats-server, in this process or in one of its own, and what a test asks of the mesh around it. */
export class Harness {
  readonly blobs: BlobStore;
  readonly tensors: TensorStore;
  readonly runs: StateStore<Run>;
  readonly adapters: StateStore<AdapterInfo>;
  private readonly folder = mkdtempSync(join(tmpdir(), 'trainer-spec-'));
  private service?: RunningService;
  private readonly processes: ServiceProcess[] = [];

  private constructor(readonly test: TestMesh) {
    this.blobs = new BlobStore(test.mesh);
    this.tensors = new TensorStore(test.mesh);
    this.runs = new StateStore(test.mesh, 'runs', Run);
    this.adapters = new StateStore(test.mesh, 'adapters', AdapterInfo);
  }

  static async start(): Promise<Harness> {
    return new Harness(await startTestMesh());
  }

  private env(settings: Record<string, string>): Record<string, string> {
    return {
      ATELIER_NATS_URL: this.test.url,
      ATELIER_MODEL: tinyCheckpoint(),
      ATELIER_DATA: this.folder,
      ATELIER_LOG_LEVEL: 'silent',
      ATELIER_COMPUTE: 'cpu',
      ATELIER_THREADS: '1',
      ATELIER_TEXT_TOKENS: String(TEXT_TOKENS),
      ...settings,
    };
  }

  async startService(settings: Record<string, string> = {}): Promise<void> {
    const env = this.env(settings);
    process.env['ATELIER_DATA'] = this.folder; // fingerprints are kept there
    this.service = await startService(TrainerModule.with(new TrainerConfig(env)), 'trainer', env);
  }

  async startProcess(settings: Record<string, string> = {}): Promise<ServiceProcess> {
    const process = await startServiceProcess('trainer', this.env({ ATELIER_LOG_LEVEL: 'info', ...settings }));
    this.processes.push(process);
    return process;
  }

  async stopService(): Promise<void> {
    await this.service?.stop();
    this.service = undefined;
  }

  async stop(): Promise<void> {
    await Promise.all(this.processes.map((process) => process.kill()));
    await this.stopService();
    await this.test.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** A manifest of samples named s0, s1, …, and their tensors unless they are to come later. */
  async dataset(id: string, count: number, { encoded = true, width = 64, height = 64 } = {}): Promise<string> {
    const samples = Array.from({ length: count }, (_, i) => ({
      name: `s${i}.png`,
      caption: `caption ${i}`,
      latentsKey: `${id}-l${i}`,
      promptsKey: `${id}-p${i}`,
      width,
      height,
    }));
    if (encoded) for (let i = 0; i < count; i++) await this.encode(id, i, { width, height });
    await this.blobs.put('manifests', id, Manifest.encode({ datasetId: id, samples }).finish());
    return id;
  }

  async encode(id: string, i: number, { width = 64, height = 64 } = {}): Promise<void> {
    await this.tensors.put('latents', `${id}-l${i}`, latentsBytes(`${i}`, width, height));
    await this.tensors.put('prompts', `${id}-p${i}`, promptsBytes(`${i}`));
  }

  options(options: Partial<CompleteTrainOptions>): CompleteTrainOptions {
    const short = { rank: 2, learningRate: 1e-3, totalSteps: 4, seed: 7, quant: 'none', checkpointEvery: 0 } as const;
    return completeTrainOptions({ ...short, ...options });
  }

  async startRun(
    id: string,
    manifest: string,
    options: Partial<CompleteTrainOptions> = {},
    more: Partial<Run> = {},
  ): Promise<void> {
    const all = trainOptionsMessage(this.options(options));
    const now = { seconds: Math.floor(Date.now() / 1000), nanos: 0 };
    await this.runs.create(
      id,
      Run.create({
        id,
        name: `adapter-${id}`,
        state: RunState.RUN_STATE_QUEUED,
        manifest,
        encoded: true,
        turns: 1,
        options: all,
        createdAt: now,
        ...more,
      }),
    );
    await publishWork(
      this.test.mesh,
      subjects.work.train,
      TrainWork,
      { runId: id, manifest },
      { msgId: `train.${id}` },
    );
  }

  async run(id: string): Promise<Run> {
    return (await this.runs.get(id))!.value;
  }

  /** Waits until the run is over and its work has left the queue. */
  async over(id: string, ms = 40_000): Promise<Run> {
    await waitFor(
      `the end of run ${id}`,
      async () => (await this.run(id)).state > RunState.RUN_STATE_TRAINING && (await this.queued()) === 0,
      ms,
    );
    return this.run(id);
  }

  async reached(id: string, step: number, ms = 30_000): Promise<void> {
    await waitFor(
      `step ${step} of ${id}`,
      async () => (await this.events(id, 'step')).some((event) => (event.runStep?.step ?? 0) >= step),
      ms,
    );
  }

  async queued(): Promise<number> {
    return (await this.test.mesh.jsm.streams.info(streams.WORK, { subjects_filter: '>' })).state.messages;
  }

  /** The training state that a run goes on from, where it has one. */
  async trainingState(id: string): Promise<BlobInfo | null> {
    const { trainingState } = await this.run(id);
    return trainingState ? this.blobs.info('checkpoints', trainingState) : null;
  }

  async adapterBytes(id: string): Promise<Buffer> {
    const info = (await this.adapters.get(`adapter-${id}`))!.value;
    return Buffer.from(await this.blobs.get('adapters', info.blob));
  }

  async events(id: string, what = '*'): Promise<Event[]> {
    return this.messages(streams.EVENTS, `events.run.${id}.${what}`);
  }

  /** Messages of a queue. */
  async work(subject: WorkSubject): Promise<Uint8Array[]> {
    return this.bytes(streams.WORK, subject);
  }

  private async messages(stream: string, filter: string): Promise<Event[]> {
    return (await this.bytes(stream, filter)).map((bytes) => Event.decode(bytes));
  }

  private async bytes(stream: string, filter: string): Promise<Uint8Array[]> {
    const { state } = await this.test.mesh.jsm.streams.info(stream);
    const pattern = new RegExp(`^${filter.replaceAll('.', '\\.').replaceAll('*', '[^.]+')}$`);
    const found: Uint8Array[] = [];
    for (let seq = state.first_seq; seq <= state.last_seq; seq++) {
      const message = await this.test.mesh.jsm.streams.getMessage(stream, { seq }).catch(() => undefined);
      if (message && pattern.test(message.subject)) found.push(message.data);
    }
    return found;
  }

  deadLetters(): Promise<number> {
    return this.test.mesh.jsm.streams.info(streams.DEAD).then(({ state }) => state.messages);
  }
}
