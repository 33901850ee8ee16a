import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  Dataset,
  DatasetState,
  Event,
  IngestWork,
  LatentsWork,
  Manifest,
  PromptsWork,
  Run,
  RunState,
  streams,
  subjects,
  TrainWork,
  type IDataset,
  type ISourceFile,
  type ITransform,
} from '@atelier/contracts';
import { consumerName, publishWork, startService, type RunningService } from '@atelier/mesh';
import { BlobStore, StateStore, TensorStore } from '@atelier/store';
import { startTestMesh, tinyCheckpoint, waitFor, type TestMesh } from '@atelier/testing';
import { IngestConfig } from '../src/ingest.config';
import { IngestModule } from '../src/ingest.module';

export type Files = Record<string, string | Uint8Array>;

/** The ingest service in this process on a real nats-server, and what a test asks of the mesh around it. */
export class Harness {
  readonly blobs: BlobStore;
  readonly tensors: TensorStore;
  readonly datasets: StateStore<Dataset>;
  readonly runs: StateStore<Run>;
  private service?: RunningService;
  private asked = 0;

  private constructor(
    readonly test: TestMesh,
    readonly folder: string,
  ) {
    this.blobs = new BlobStore(test.mesh);
    this.tensors = new TensorStore(test.mesh);
    this.datasets = new StateStore(test.mesh, 'datasets', Dataset);
    this.runs = new StateStore(test.mesh, 'runs', Run);
  }

  /** The mesh alone: the service is started later, or as a process of its own. */
  static async withoutService(): Promise<Harness> {
    return new Harness(await startTestMesh(), await mkdtemp(join(tmpdir(), 'ingest-spec-')));
  }

  static async start(settings: Record<string, string> = {}): Promise<Harness> {
    const harness = await Harness.withoutService();
    try {
      await harness.startService(settings);
    } catch (error) {
      await harness.stop();
      throw error;
    }
    return harness;
  }

  env(settings: Record<string, string> = {}): Record<string, string> {
    return {
      ATELIER_NATS_URL: this.test.url,
      ATELIER_MODEL: tinyCheckpoint(),
      ATELIER_INGEST_SPOOL: this.folder,
      ...settings,
    };
  }

  async startService(settings: Record<string, string> = {}): Promise<void> {
    const env = this.env({ ATELIER_LOG_LEVEL: 'silent', ...settings });
    this.service = await startService(IngestModule.with(new IngestConfig(env)), 'ingest', env);
  }

  async stopService(): Promise<void> {
    await this.service?.stop();
    this.service = undefined;
  }

  async stop(): Promise<void> {
    await this.stopService();
    await this.test.stop();
    await rm(this.folder, { recursive: true, force: true });
  }

  async upload(
    id: string,
    files: Files,
    more: Omit<IDataset, 'transform'> & { transform?: ITransform } = {},
  ): Promise<void> {
    const stored: ISourceFile[] = [];
    for (const [name, content] of Object.entries(files)) {
      const bytes = Buffer.from(content as Uint8Array);
      const blob = `uploads/${id}/${stored.length}`;
      await this.blobs.put('pictures', blob, bytes);
      stored.push({ name, blob, size: bytes.length });
    }
    const transform = { width: 64, height: 64, crop: 'center' };
    await this.datasets.create(
      id,
      Dataset.create({ id, name: id, files: stored, transform, state: DatasetState.DATASET_STATE_UPLOADED, ...more }),
    );
  }

  async createRun(id: string, datasetId: string, more: Partial<Run> = {}): Promise<void> {
    await this.runs.create(id, Run.create({ id, name: id, datasetId, state: RunState.RUN_STATE_QUEUED, ...more }));
  }

  async ask(datasetId: string, runId = ''): Promise<void> {
    await publishWork(
      this.test.mesh,
      subjects.work.ingest,
      IngestWork,
      { datasetId, runId },
      { msgId: `test.${this.asked++}` },
    );
  }

  /** As the client does it for a person. */
  async cancel(id: string): Promise<void> {
    await this.datasets.update(id, (dataset) =>
      Dataset.create({ ...dataset, state: DatasetState.DATASET_STATE_CANCELLED }),
    );
  }

  /** Asks and waits until the queue holds no ingest work any more. */
  async ingest(datasetId: string, runId = ''): Promise<Dataset | undefined> {
    await this.ask(datasetId, runId);
    await waitFor('the queue to be empty', async () => (await this.queued(subjects.work.ingest)) === 0);
    return (await this.datasets.get(datasetId))?.value;
  }

  /** Data sets that a service has in hand. */
  async inHand(): Promise<number> {
    return (await this.test.mesh.jsm.consumers.info(streams.WORK, consumerName(subjects.work.ingest))).num_ack_pending;
  }

  /** As a person sees it end. */
  settled(id: string, ms = 30_000): Promise<Dataset> {
    return waitFor(
      `data set ${id} to be read`,
      async () => {
        const dataset = (await this.datasets.get(id))?.value;
        return dataset !== undefined && dataset.state !== DatasetState.DATASET_STATE_UPLOADED && dataset;
      },
      ms,
    );
  }

  async manifest(dataset: Dataset | undefined): Promise<Manifest> {
    return Manifest.decode(await this.blobs.get('manifests', dataset?.manifest ?? ''));
  }

  async events(filter: string): Promise<Event[]> {
    return (await this.messages(streams.EVENTS, filter)).map((bytes) => Event.decode(bytes));
  }

  async latentsWork(): Promise<LatentsWork[]> {
    return (await this.messages(streams.WORK, subjects.work.latents)).map((bytes) => LatentsWork.decode(bytes));
  }

  async promptsWork(): Promise<PromptsWork[]> {
    return (await this.messages(streams.WORK, subjects.work.prompts)).map((bytes) => PromptsWork.decode(bytes));
  }

  async trainWork(): Promise<TrainWork[]> {
    return (await this.messages(streams.WORK, subjects.work.train)).map((bytes) => TrainWork.decode(bytes));
  }

  deadLetters(): Promise<Uint8Array[]> {
    return this.messages(streams.DEAD, 'dead.>');
  }

  async queued(subject: string): Promise<number> {
    const { state } = await this.test.mesh.jsm.streams.info(streams.WORK, { subjects_filter: subject });
    return state.subjects?.[subject] ?? 0;
  }

  /** What a stream holds under a filter, without taking it. */
  private async messages(stream: string, filter: string): Promise<Uint8Array[]> {
    const { state } = await this.test.mesh.jsm.streams.info(stream);
    const matches = new RegExp(`^${filter.replaceAll('.', '\\.').replace('*', '[^.]+').replace('>', '.+')}$`);
    const found: Uint8Array[] = [];
    for (let seq = state.first_seq; seq <= state.last_seq; seq += 1) {
      const message = await this.test.mesh.jsm.streams.getMessage(stream, { seq }).catch(() => undefined);
      if (message && matches.test(message.subject)) found.push(message.data);
    }
    return found;
  }
}
