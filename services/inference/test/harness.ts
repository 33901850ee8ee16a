import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeTensors, openCheckpoint, parseTensorFile } from '@atelier/checkpoint';
import {
  Event,
  GenerateWork,
  Generation,
  GenerationState,
  promptsKey,
  streams,
  subjects,
  type IGenerateWork,
} from '@atelier/contracts';
import { publishWork, Registry, startService, type RunningService } from '@atelier/mesh';
import { AdapterStore, BlobStore, StateStore, TensorStore } from '@atelier/store';
import { repositoryRoot, startTestMesh, tinyCheckpoint, waitFor, type TestMesh } from '@atelier/testing';
import { InferenceConfig } from '../src/inference.config';
import { InferenceModule } from '../src/inference.module';

const TEXT_TOKENS = 8;
const JOINT = 64;
const POOLED = 32;

/** A prompt's embeds: repeatable values, others for each text. */
export function promptsBytes(text: string): Uint8Array {
  let state = [...text].reduce((hash, letter) => Math.imul(hash ^ letter.charCodeAt(0), 16777619) >>> 0, 2166136261);
  const values = (count: number): Float32Array =>
    Float32Array.from({ length: count }, () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 31 - 1);
  return encodeTensors({
    prompt_embeds: { shape: [TEXT_TOKENS, JOINT], data: values(TEXT_TOKENS * JOINT) },
    pooled: { shape: [POOLED], data: values(POOLED) },
  });
}

/** The adapter that diffusers wrote for the tiny checkpoint. */
export const goldenAdapter = (): Uint8Array =>
  readFileSync(
    join(repositoryRoot, 'native', 'test', 'goldens', 'tiny-dev', 'lora_a', 'pytorch_lora_weights.safetensors'),
  );

/** The same with one of its float32 tensors changed. */
export function changedAdapter(
  change: (data: Float32Array, shape: number[]) => { data: Float32Array; shape: number[] },
): Uint8Array {
  const { tensors, metadata } = parseTensorFile(goldenAdapter());
  let first = true;
  const entries = [...tensors].map(([name, { shape, bytes }]) => {
    const tensor = { shape, data: new Float32Array(new Uint8Array(bytes).buffer) };
    const changed = first ? change(tensor.data, shape) : tensor;
    first = false;
    return [name, changed] as const;
  });
  return encodeTensors(Object.fromEntries(entries), metadata);
}

/** The inference service in this process on a real nats-server, and what a test asks of the mesh around it. */
export class Harness {
  readonly blobs: BlobStore;
  readonly tensors: TensorStore;
  readonly generations: StateStore<Generation>;
  readonly adapters: AdapterStore;
  private readonly folder = mkdtempSync(join(tmpdir(), 'inference-spec-'));
  private service?: RunningService;

  private constructor(readonly test: TestMesh) {
    this.blobs = new BlobStore(test.mesh);
    this.tensors = new TensorStore(test.mesh);
    this.generations = new StateStore(test.mesh, 'generations', Generation);
    this.adapters = new AdapterStore(test.mesh);
  }

  static async start(settings?: Record<string, string>): Promise<Harness> {
    const harness = new Harness(await startTestMesh());
    await harness.startService(settings);
    await harness.encode('a heron');
    return harness;
  }

  async startService(settings: Record<string, string> = {}): Promise<void> {
    process.env['ATELIER_DATA'] = this.folder; // fingerprints are kept there
    const env = {
      ATELIER_NATS_URL: this.test.url,
      ATELIER_MODEL: tinyCheckpoint(),
      ATELIER_DATA: this.folder,
      ATELIER_LOG_LEVEL: 'silent',
      ATELIER_COMPUTE: 'cpu',
      ATELIER_THREADS: '1',
      ATELIER_TEXT_TOKENS: String(TEXT_TOKENS),
      ATELIER_INFERENCE_QUANT: 'none',
      ATELIER_INFERENCE_GRACE_SECONDS: '0',
      ...settings,
    };
    this.service = await startService(InferenceModule.with(new InferenceConfig(env)), 'inference', env);
  }

  async stopService(): Promise<void> {
    await this.service?.stop();
    this.service = undefined;
  }

  async stop(): Promise<void> {
    await this.stopService();
    await this.test.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  async promptKey(prompt: string): Promise<string> {
    const { text } = await (await openCheckpoint(tinyCheckpoint())).fingerprints();
    return promptsKey({ caption: prompt, maxLength: TEXT_TOKENS, textFingerprint: text });
  }

  async encode(prompt: string): Promise<void> {
    await this.tensors.put('prompts', await this.promptKey(prompt), promptsBytes(prompt));
  }

  async bringIn(name: string, bytes: Uint8Array): Promise<void> {
    await this.adapters.put({ name, rank: 0, alpha: 0 }, bytes, { replace: true });
  }

  async ask(id: string, request: Partial<IGenerateWork> = {}): Promise<void> {
    const work = {
      id,
      prompt: 'a heron',
      width: 64,
      height: 48,
      steps: 2,
      guidance: 3.5,
      seed: 1,
      count: 1,
      format: 'png',
      ...request,
    };
    await this.generations.create(id, Generation.create({ id, work, state: GenerationState.GENERATION_STATE_QUEUED }));
    await publishWork(this.test.mesh, subjects.work.generate, GenerateWork, work, { msgId: id });
  }

  async drawing(id: string): Promise<Generation> {
    return (await this.generations.get(id))!.value;
  }

  async over(id: string, ms = 30_000): Promise<Generation> {
    await waitFor(
      `the end of ${id}`,
      async () =>
        (await this.drawing(id)).state > GenerationState.GENERATION_STATE_RUNNING && (await this.queued()) === 0,
      ms,
    );
    return this.drawing(id);
  }

  /** Asks, waits, and gives the pictures' bytes. */
  async draw(id: string, request: Partial<IGenerateWork> = {}): Promise<Buffer[]> {
    await this.ask(id, request);
    const { images, state, error } = await this.over(id);
    if (state !== GenerationState.GENERATION_STATE_FINISHED) throw new Error(`${id} is not finished: ${error}`);
    return Promise.all(images.map(async (image) => Buffer.from(await this.blobs.get('samples', image))));
  }

  async queued(): Promise<number> {
    const { state } = await this.test.mesh.jsm.streams.info(streams.WORK, { subjects_filter: '>' });
    return state.subjects?.[subjects.work.generate] ?? 0;
  }

  async deadLetters(): Promise<number> {
    return (await this.test.mesh.jsm.streams.info(streams.DEAD)).state.messages;
  }

  async events(id: string, what = '*'): Promise<Event[]> {
    const { state } = await this.test.mesh.jsm.streams.info(streams.EVENTS);
    const pattern = new RegExp(`^events\\.generate\\.${id}\\.${what.replace('*', '[^.]+')}$`);
    const found: Event[] = [];
    for (let seq = state.first_seq; seq <= state.last_seq; seq++) {
      const message = await this.test.mesh.jsm.streams.getMessage(streams.EVENTS, { seq }).catch(() => undefined);
      if (message && pattern.test(message.subject)) found.push(Event.decode(message.data));
    }
    return found;
  }

  /** A counter's value by its label. */
  async metric(name: string, label: string): Promise<number> {
    const metric = await this.service!.app.get(Registry, { strict: false }).getSingleMetric(name)!.get();
    return metric.values.find(({ labels }) => Object.values(labels).includes(label))?.value ?? 0;
  }
}
