import {
  AtelierError,
  buckets,
  isKeptBeside,
  type AdapterInfo,
  type BlobBucket,
  type Dataset,
  type Generation,
  type Run,
} from '@atelier/contracts';
import { atOnce, isStoreFull, type Mesh, type Patience } from '@atelier/mesh';
import { AdapterStore, BlobStore, isJunk } from '@atelier/store';
import { Datasets } from './datasets';
import { EncodedRuns } from './encoded-runs';
import { Generations } from './generations';
import { Runs } from './runs';
import { isGenerationOver, isRunOver } from './states';
import { generationStatus, runStatus } from './words';

/**
 * Takes away what people no longer want. What is under way, or named by what is, stays: FAILED_PRECONDITION says by
 * whom, and what to do. The entry goes first, by compare-and-set, and its bytes after it: a reader goes on or finds that
 * they are gone, never others in their place, and what a crash leaves behind is nobody's, which the sweep clears. What
 * is not there is gone already (docs/decisions/0043-entries-go-before-their-bytes.md). An entry that cannot be read is
 * nobody's to keep: it goes, and whatever it named is the sweep's.
 */
export class Deletion {
  private readonly datasets: Datasets;
  private readonly runs: Runs;
  private readonly encoded: EncodedRuns;
  private readonly generations: Generations;
  private readonly adapters: AdapterStore;
  private readonly blobs: BlobStore;

  constructor(mesh: Mesh, patience: Patience = atOnce) {
    this.datasets = new Datasets(mesh);
    this.runs = new Runs(mesh);
    this.encoded = new EncodedRuns(mesh, this.runs);
    this.generations = new Generations(mesh, patience);
    this.adapters = new AdapterStore(mesh, { patience });
    this.blobs = new BlobStore(mesh);
  }

  /**
   * A data set with its uploaded files. What was encoded of it may be another's too: that is the sweep's. A run that is
   * started on it at this moment finds no data set and fails with that reason; whoever reads it finds its files gone.
   * @returns what was there; null: nothing
   */
  async dataset(id: string): Promise<Dataset | null> {
    const gone = await this.datasets.remove(id, (dataset) => this.requireUnused(dataset));
    if (!gone) return null;
    await this.encoded.forgetDataset(id);
    const files = gone.files.map(({ blob }) => blob ?? '');
    await this.clear(buckets.blobs.pictures, files);
    return gone;
  }

  /**
   * A run that is over, with its training states, its validation pictures and what it kept beside its adapter. That
   * stays, and so does what was given a name of its own.
   */
  async run(id: string): Promise<Run | null> {
    await this.keptByRun(id);
    const gone = await this.runs.remove(id, requireRunOver);
    if (!gone) return null;
    const states = (await this.blobs.names(buckets.blobs.checkpoints)).filter((name) => isStateOf(id, name));
    await this.clear(buckets.blobs.checkpoints, states);
    await this.clear(buckets.blobs.samples, gone.sampleImages);
    return gone;
  }

  /** An adapter with its file, unless a drawing that is not over is to use it. */
  adapter(name: string): Promise<AdapterInfo | null> {
    return this.adapters.delete(name, () => this.requireAdapterUnused(name));
  }

  /** Throws where a drawing that is not over is to use the adapter: it knows it by this name alone. */
  async requireAdapterUnused(name: string): Promise<void> {
    const uses = (drawing: Generation): boolean =>
      !isGenerationOver(drawing) && (drawing.work?.adapters ?? []).some((use) => use.name === name);
    const user = (await this.generations.list()).find(uses);
    if (!user) return;
    throw inUse(
      `drawing ${user.id} (${generationStatus(user.state)}) uses adapter ${name}: wait for its end, or cancel it`,
      { generation: user.id },
    );
  }

  /** A drawing that is over, with its pictures. */
  async generation(id: string): Promise<Generation | null> {
    const gone = await this.generations.remove(id, requireGenerationOver);
    await this.clear(buckets.blobs.samples, gone?.images ?? []);
    return gone;
  }

  /**
   * One picture of a drawing or of a run that is over. A full store has no room to take its name off their list: it goes
   * all the same, as whoever asks for it by that name is told, and asked for again it is taken off.
   * @returns false: there was none
   */
  async picture(name: string): Promise<boolean> {
    const owner = name.split('/')[0]!;
    try {
      if (await this.generations.find(owner)) await this.generations.forgetPicture(owner, name, requireGenerationOver);
      else if (await this.runs.find(owner)) await this.runs.forgetSample(owner, name, requireRunOver);
    } catch (error) {
      if (!isStoreFull(error) && !isJunk(error)) throw error;
    }
    if (!(await this.blobs.has(buckets.blobs.samples, name))) return false;
    await this.blobs.delete(buckets.blobs.samples, name);
    return true;
  }

  /** Before their run's entry, by which they are known for what they are: after a crash the run can be deleted again. */
  private async keptByRun(id: string): Promise<void> {
    const run = await this.runs.find(id).catch((error: unknown) => {
      if (isJunk(error)) return undefined;
      throw error;
    });
    if (!run) return;
    requireRunOver(run);
    const kept = (await this.adapters.list()).filter(({ name, runId }) => runId === id && isKeptBeside(name));
    const beside = kept.map(({ name }) => name).filter((name) => name !== run.adapter);
    for (const name of beside) await this.requireAdapterUnused(name);
    for (const name of beside) await this.adapter(name);
  }

  private async requireUnused({ id, name }: Dataset): Promise<void> {
    const user = (await this.runs.list()).find((run) => run.datasetId === id && !isRunOver(run));
    if (!user) return;
    throw inUse(
      `run ${user.id} (${runStatus(user.state)}) uses data set ${name}: wait for its end, or cancel it ` +
        `("atelier runs cancel ${user.id}")`,
      { run: user.id },
    );
  }

  private async clear(bucket: BlobBucket, names: readonly string[]): Promise<void> {
    for (const name of names) await this.blobs.delete(bucket, name);
  }
}

/** Training states are named by their run, and by who saved them when. */
export const isStateOf = (runId: string, name: string): boolean => name === runId || name.startsWith(`${runId}.`);

const inUse = (message: string, details: Record<string, string>): AtelierError =>
  new AtelierError('FAILED_PRECONDITION', message, details);

function requireRunOver(run: Run): void {
  if (isRunOver(run)) return;
  throw inUse(
    `run ${run.id} is ${runStatus(run.state)}: cancel it first ("atelier runs cancel ${run.id}"), or wait for its end`,
    { run: run.id },
  );
}

function requireGenerationOver(drawing: Generation): void {
  if (isGenerationOver(drawing)) return;
  throw inUse(
    `drawing ${drawing.id} is ${generationStatus(drawing.state)}: wait for its end, or cancel it first ` +
      `("POST /v1/images/generations/${drawing.id}/cancel")`,
    { generation: drawing.id },
  );
}
