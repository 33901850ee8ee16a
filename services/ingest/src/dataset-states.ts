import { Injectable } from '@nestjs/common';
import { Dataset, DatasetState, subjects, type IDatasetIngested, type IEncodeSummary } from '@atelier/contracts';
import { Mesh, publishEvent } from '@atelier/mesh';
import { StateStore, StateWatch } from '@atelier/store';
import { DatasetCancelled, DatasetRefused } from './dataset-refused';

/** What of a data set changes when it has been read. */
type Ingested = Pick<Dataset, 'manifest' | 'samples' | 'duplicates' | 'rejected'>;

export function isCancelled({ state }: Dataset): boolean {
  return state === DatasetState.DATASET_STATE_CANCELLED;
}

/** Data sets in KV, and what happens to them in events. */
@Injectable()
export class DatasetStates {
  private readonly store: StateStore<Dataset>;

  constructor(private readonly mesh: Mesh) {
    this.store = new StateStore(mesh, 'datasets', Dataset);
  }

  async get(id: string): Promise<Dataset> {
    const stored = await this.store.get(id);
    if (!stored)
      throw new DatasetRefused(`there is no data set ${JSON.stringify(id)}: it was never uploaded or has been deleted`);
    return stored.value;
  }

  /** Raised when someone cancels the data set. */
  watch(id: string): StateWatch<Dataset> {
    return new StateWatch(this.store, id, isCancelled);
  }

  /** @throws DatasetCancelled when that came first */
  async ingested(id: string, read: Ingested): Promise<void> {
    const dataset = await this.store.update(id, (current) =>
      isCancelled(current)
        ? null
        : Dataset.create({ ...current, ...read, state: DatasetState.DATASET_STATE_INGESTED, error: '' }),
    );
    if (isCancelled(dataset)) throw new DatasetCancelled();
    const { samples, duplicates, rejected } = read;
    const datasetIngested: IDatasetIngested = { datasetId: id, samples, duplicates, rejected };
    await publishEvent(
      this.mesh,
      subjects.event('dataset', id, 'ingested'),
      { datasetIngested },
      { msgId: `ingested.${read.manifest}` },
    );
  }

  /**
   * A data set that was read before stays usable, one that was cancelled stays so.
   * @returns it, or nothing where there is none
   */
  async fail(id: string, error: string): Promise<Dataset | undefined> {
    if (!(await this.store.get(id))) return undefined;
    const dataset = await this.store.update(id, (current) => {
      if (current.state === DatasetState.DATASET_STATE_INGESTED || isCancelled(current)) return null;
      return Dataset.create({ ...current, state: DatasetState.DATASET_STATE_FAILED, error });
    });
    if (dataset.state !== DatasetState.DATASET_STATE_INGESTED) await this.tellState(dataset);
    return dataset;
  }

  /** Says how it ended: also once more, since who ended it may have died before saying so. Said twice, it is one event. */
  async tellState({ id, state, error }: Dataset): Promise<void> {
    const datasetState = { datasetId: id, state, error };
    const msgId = `state.${id}.${state}`;
    await publishEvent(this.mesh, subjects.event('dataset', id, 'state'), { datasetState }, { msgId });
  }

  async tellSummary(encodeSummary: IEncodeSummary): Promise<void> {
    await publishEvent(this.mesh, subjects.event('dataset', encodeSummary.datasetId ?? '', 'encoding'), {
      encodeSummary,
    });
  }
}
