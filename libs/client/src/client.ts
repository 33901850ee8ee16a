import type { Readable } from 'node:stream';
import type { AdapterInfo, Dataset, Generation, MemoryPlan, Run, Sweep } from '@atelier/contracts';
import {
  allEvents,
  datasetEvents,
  generationEvents,
  runEvents,
  storeUsage,
  SweepTurn,
  type Counted,
  type FeedOptions,
  type FollowOptions,
  type PageOptions,
  type StreamedEvent,
  type SweepRules,
} from '@atelier/jobs';
import { lastEventSequence, Mesh, type MeshConfig, type StoreState } from '@atelier/mesh';
import * as adapters from './adapters';
import { Connection } from './connection';
import * as datasets from './datasets';
import * as deletion from './deletion';
import * as finetunes from './finetunes';
import * as generations from './generations';
import type { Repeatable } from './names';
import * as services from './services';
import * as upkeep from './upkeep';
import type { UploadProgress } from './uploads';
import { WebhookRequests } from './webhooks';

/** Everything a person can ask, over NATS. Ids and names are both taken where a thing has both; the newest of a name counts. */
export class AtelierClient {
  /** Webhooks, and what became of their deliveries: a gateway delivers. */
  readonly webhooks: WebhookRequests;
  private readonly connection: Connection;

  /** Uses a connection that someone else opened and will close. */
  constructor(readonly mesh: Mesh) {
    this.connection = new Connection(mesh);
    this.webhooks = new WebhookRequests(this.connection);
  }

  /** @param access who asks, where NATS wants to know: its user, `cli` unless another is named, and what shows it */
  static async connect(
    url: string,
    name = 'client',
    { user = 'cli', credentials }: Pick<MeshConfig, 'user' | 'credentials'> = {},
  ): Promise<AtelierClient> {
    return new AtelierClient(await Mesh.connect({ url, name, user, credentials }));
  }

  close(): Promise<void> {
    return this.mesh.close();
  }

  createDataset(
    request: datasets.DatasetRequest,
    onProgress?: (progress: UploadProgress) => void,
    once?: Repeatable,
  ): Promise<Dataset> {
    return datasets.createDataset(this.connection, request, onProgress, once);
  }
  dataset(key: string): Promise<Dataset> {
    return datasets.findDataset(this.connection, key);
  }
  datasets(): Promise<Dataset[]> {
    return datasets.listDatasets(this.connection);
  }
  /** When nobody reads it any more; undefined where the signal came first. */
  readDataset(id: string, signal: AbortSignal): Promise<Dataset | undefined> {
    return datasets.readDataset(this.connection, id, signal);
  }
  cancelDataset(key: string): Promise<Dataset> {
    return datasets.cancelDataset(this.connection, key);
  }
  datasetEvents(id: string, options?: FollowOptions): AsyncGenerator<StreamedEvent> {
    return datasetEvents(this.mesh, id, options);
  }

  startFinetune(request: finetunes.FinetuneRequest, once?: Repeatable): Promise<Run> {
    return finetunes.startFinetune(this.connection, request, once);
  }
  run(key: string): Promise<Run> {
    return finetunes.findRun(this.connection, key);
  }
  runs(): Promise<Run[]> {
    return finetunes.listRuns(this.connection);
  }
  cancelRun(key: string): Promise<Run> {
    return finetunes.cancelRun(this.connection, key);
  }
  prioritizeRun(key: string, priority: number): Promise<Run> {
    return finetunes.prioritizeRun(this.connection, key, priority);
  }
  pauseRun(key: string): Promise<Run> {
    return finetunes.pauseRun(this.connection, key);
  }
  resumeRun(key: string): Promise<Run> {
    return finetunes.resumeRun(this.connection, key);
  }
  /** From the first on, with what the encoders do for the run; ends with the event that says how it ended. */
  async *runEvents(key: string, options?: FollowOptions): AsyncGenerator<StreamedEvent> {
    yield* runEvents(this.mesh, this.connection.runs, await this.run(key), options);
  }

  adapters(): Promise<AdapterInfo[]> {
    return adapters.listAdapters(this.connection);
  }
  adapter(name: string): Promise<AdapterInfo> {
    return adapters.findAdapter(this.connection, name);
  }
  adapterFile(name: string): Promise<Readable> {
    return adapters.adapterFile(this.connection, name);
  }
  importAdapter(name: string, bytes: Uint8Array, options?: adapters.AdapterImport): Promise<AdapterInfo> {
    return adapters.importAdapter(this.connection, name, bytes, options);
  }

  generate(request: generations.GenerateRequest, once?: Repeatable): Promise<Generation> {
    return generations.generate(this.connection, request, once);
  }
  generation(id: string): Promise<Generation> {
    return generations.findGeneration(this.connection, id);
  }
  generations(): Promise<Generation[]> {
    return generations.listGenerations(this.connection);
  }
  /** Some of them, the newest first, from the one before which others were given on. */
  generationPage(options: PageOptions): Promise<{ drawings: Generation[]; more: boolean }> {
    return this.connection.generations.page(options);
  }
  drawingProgress(drawing: Generation): Promise<generations.DrawingProgress | undefined> {
    return generations.drawingProgress(this.connection, drawing);
  }
  generationEvents(id: string, options?: FollowOptions): AsyncGenerator<StreamedEvent> {
    return generationEvents(this.mesh, this.connection.generations, id, options);
  }
  finishedGeneration(id: string, options?: Parameters<typeof generations.finishedGeneration>[2]): Promise<Generation> {
    return generations.finishedGeneration(this.connection, id, options);
  }
  cancelGeneration(id: string): Promise<Generation> {
    return generations.cancelGeneration(this.connection, id);
  }
  image(name: string): Promise<Readable> {
    return generations.pictureFile(this.connection, name);
  }

  /** Resolves with its id, or with nothing where there is none. Throws FAILED_PRECONDITION where it is in use. */
  delete(kind: deletion.Deletable, key: string): Promise<string | undefined> {
    return deletion.deleteThing(this.connection, kind, key);
  }
  renameDataset(key: string, to: string): Promise<Dataset> {
    return deletion.renameDataset(this.connection, key, to);
  }
  renameAdapter(name: string, to: string): Promise<AdapterInfo> {
    return deletion.renameAdapter(this.connection, name, to);
  }

  /** How much more the store takes. */
  store(): Promise<StoreState> {
    return this.mesh.room.look();
  }
  /** What takes how much of it, by kind, the largest first. */
  storeUsage(): Promise<Counted[]> {
    return storeUsage(this.mesh);
  }
  /** Clears what nothing names any more. Throws ABORTED where another does at this moment. */
  sweep(rules: SweepRules, options?: upkeep.SweepOptions): Promise<Counted[]> {
    return upkeep.sweep(this.connection, rules, options);
  }
  /** The same if it is due and nobody else does it; undefined: it is not. */
  sweepInTurn(rules: SweepRules, intervalMs: number): Promise<Counted[] | undefined> {
    return upkeep.sweepInTurn(this.connection, rules, intervalMs);
  }
  /** The sweep that is under way, or the last. */
  lastSweep(): Promise<Sweep | undefined> {
    return new SweepTurn(this.mesh).last();
  }
  /** Throws StoreFull where the store has no room for so many bytes of something new. */
  requireRoom(bytes: number): Promise<void> {
    return this.mesh.room.require(bytes, 'new work');
  }

  /** Every service and whether it is up. */
  status(): Promise<services.ServiceState[]> {
    return services.serviceStates(this.connection);
  }
  /** Memory of a run to the byte, before it starts. */
  plan(input: services.PlanInput): Promise<MemoryPlan> {
    return services.planRun(this.connection, input);
  }

  /** The position of the last event that was told: what comes after it is new. */
  lastEvent(): Promise<number> {
    return lastEventSequence(this.mesh);
  }
  /** Everything that happens, or what a filter lets through. */
  events(options?: FeedOptions): AsyncGenerator<StreamedEvent> {
    return allEvents(this.mesh, options);
  }
}
