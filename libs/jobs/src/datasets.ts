import {
  buckets,
  Dataset,
  DatasetState,
  eventSubjects,
  type DatasetEvent,
  type IDatasetIngested,
  type IEncodeSummary,
  type IEvent,
} from '@atelier/contracts';
import { noteIds, publishEvent, type Mesh } from '@atelier/mesh';
import { StateStore, StateWatch } from '@atelier/store';
import { isDatasetCancelled, isDatasetOver } from './states';
import { queueIngest, queueIngestAgain } from './work';

/** What of a data set changes when it has been read. */
export type ReadDataset = Pick<
  Dataset,
  'manifest' | 'samples' | 'duplicates' | 'rejected' | 'pictures' | 'leftOut' | 'notes'
>;

/** Data sets in KV, what changes them, and what is told of it: uploaded → ingested, failed or cancelled. */
export class Datasets {
  private readonly store: StateStore<Dataset>;

  constructor(private readonly mesh: Mesh) {
    this.store = new StateStore(mesh, buckets.state.datasets, Dataset);
  }

  async find(id: string): Promise<Dataset | undefined> {
    return (await this.store.get(id))?.value;
  }

  list(): Promise<Dataset[]> {
    return this.store.list();
  }

  /** Raised when someone cancels the data set. */
  watch(id: string): StateWatch<Dataset> {
    return new StateWatch(this.store, id, isDatasetCancelled);
  }

  /** As it is and as it becomes, until the signal comes or it is deleted. */
  states(id: string, signal: AbortSignal): AsyncGenerator<Dataset> {
    return this.store.watch(id, { signal });
  }

  /** Writes the data set, then its work; it resolves only when both are on disk. Throws StoreFull. */
  async queue(dataset: Dataset): Promise<void> {
    noteIds({ datasetId: dataset.id });
    await this.store.create(dataset.id, dataset);
    await this.queueAgain(dataset);
  }

  /** The work of one that is there and not read: who uploaded it may have died before it was on the queue. */
  async queueAgain(dataset: Dataset): Promise<void> {
    if (!isDatasetOver(dataset)) await queueIngest(this.mesh, { datasetId: dataset.id });
  }

  /**
   * Lets a run wait for a data set that is still to be read. One compare-and-set decides: whoever ends the data set finds
   * the run in it, or the run finds that the data set is over.
   * @returns false where there is nothing to wait for: it is over, or was never uploaded
   */
  async keepWaiting(id: string, runId: string): Promise<boolean> {
    if (!(await this.find(id))) return false;
    const dataset = await this.store.update(id, (current) =>
      isDatasetOver(current) || current.waitingRuns.includes(runId)
        ? null
        : Dataset.create({ ...current, waitingRuns: [...current.waitingRuns, runId] }),
    );
    if (isDatasetOver(dataset)) return false;
    await queueIngestAgain(this.mesh, id, async () => isDatasetOver((await this.find(id)) ?? dataset));
    return true;
  }

  /** These runs have been started, or have failed with it. */
  async waitNoMore(id: string, runIds: readonly string[]): Promise<void> {
    if (runIds.length === 0) return;
    await this.store.update(id, (current) =>
      Dataset.create({ ...current, waitingRuns: current.waitingRuns.filter((runId) => !runIds.includes(runId)) }),
    );
  }

  /** Ends one that is not read yet; one that is over stays as it is. */
  async cancel(id: string): Promise<Dataset> {
    const dataset = await this.store.update(id, (current) =>
      isDatasetOver(current) ? null : Dataset.create({ ...current, state: DatasetState.DATASET_STATE_CANCELLED }),
    );
    if (isDatasetCancelled(dataset)) await this.tellState(dataset);
    return dataset;
  }

  /** @returns it; throws NOT_FOUND */
  rename(id: string, name: string): Promise<Dataset> {
    return this.store.update(id, (current) => (current.name === name ? null : Dataset.create({ ...current, name })));
  }

  /** Its entry alone (Deletion). @param require throws where it must stay */
  remove(id: string, require: (dataset: Dataset) => Promise<void>): Promise<Dataset | null> {
    return this.store.take(id, require);
  }

  /** One that was cancelled before stays so, and is what this resolves with. */
  async ingested(id: string, read: ReadDataset): Promise<Dataset> {
    const dataset = await this.store.update(id, (current) =>
      isDatasetCancelled(current)
        ? null
        : Dataset.create({ ...current, ...read, state: DatasetState.DATASET_STATE_INGESTED, error: '' }),
    );
    if (isDatasetCancelled(dataset)) return dataset;
    const { manifest, samples, duplicates, rejected, pictures, leftOut } = read;
    const datasetIngested: IDatasetIngested = { datasetId: id, samples, duplicates, rejected, pictures, leftOut };
    await this.tell(id, 'ingested', { datasetIngested }, `ingested.${manifest}`);
    return dataset;
  }

  /** What was found in one that is about to fail for it; one that was read before keeps what it has. */
  async unusable(id: string, { rejected, pictures, leftOut, notes }: Omit<ReadDataset, 'manifest'>): Promise<void> {
    await this.store.update(id, (current) =>
      isDatasetOver(current) ? null : Dataset.create({ ...current, rejected, pictures, leftOut, notes }),
    );
  }

  /**
   * A data set that was read before stays usable, one that was cancelled stays so.
   * @returns it, or nothing where there is none
   */
  async failed(id: string, error: string): Promise<Dataset | undefined> {
    if (!(await this.find(id))) return undefined;
    const dataset = await this.store.update(id, (current) => {
      if (current.state === DatasetState.DATASET_STATE_INGESTED || isDatasetCancelled(current)) return null;
      return Dataset.create({ ...current, state: DatasetState.DATASET_STATE_FAILED, error });
    });
    if (dataset.state !== DatasetState.DATASET_STATE_INGESTED) await this.tellState(dataset);
    return dataset;
  }

  /** Says how it ended: also once more, since who ended it may have died before saying so. Said twice, it is one event. */
  async tellState({ id, state, error }: Dataset): Promise<void> {
    await this.tell(id, 'state', { datasetState: { datasetId: id, state, error } }, `state.${id}.${state}`);
  }

  async tellSummary(id: string, encodeSummary: IEncodeSummary): Promise<void> {
    await this.tell(id, 'encoding', { encodeSummary });
  }

  private async tell(id: string, what: DatasetEvent, event: IEvent, msgId?: string): Promise<void> {
    await publishEvent(this.mesh, eventSubjects.dataset(id, what), event, { msgId });
  }
}
