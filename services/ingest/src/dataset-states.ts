import { Injectable } from '@nestjs/common';
import { Dataset, DatasetState, subjects, type IDatasetIngested, type IEncodeSummary } from '@atelier/contracts';
import { Mesh, publishEvent } from '@atelier/mesh';
import { StateStore } from '@atelier/store';
import { DatasetRefused } from './dataset-refused';

/** What of a data set changes when it has been read. */
type Ingested = Pick<Dataset, 'manifest' | 'samples' | 'duplicates' | 'rejected'>;

/** Data sets in KV, and what happens to them in events. */
@Injectable()
export class DatasetStates {
  private readonly store: StateStore<Dataset>;

  constructor(private readonly mesh: Mesh) {
    this.store = new StateStore(mesh, 'datasets', Dataset);
  }

  async get(id: string): Promise<Dataset> {
    const stored = await this.store.get(id);
    if (!stored) throw new DatasetRefused(`there is no data set ${JSON.stringify(id)}: it was never uploaded or has been deleted`);
    return stored.value;
  }

  async ingested(id: string, read: Ingested): Promise<void> {
    await this.store.update(id, (dataset) => Dataset.create({ ...dataset, ...read, state: DatasetState.DATASET_STATE_INGESTED, error: '' }));
    const { samples, duplicates, rejected } = read;
    const datasetIngested: IDatasetIngested = { datasetId: id, samples, duplicates, rejected };
    await publishEvent(this.mesh, subjects.event('dataset', id, 'ingested'), { datasetIngested }, { msgId: `ingested.${read.manifest}` });
  }

  /** A data set that was read before stays usable. @returns it, or nothing where there is none */
  async fail(id: string, error: string): Promise<Dataset | undefined> {
    if (!(await this.store.get(id))) return undefined;
    return this.store.update(id, (dataset) => {
      if (dataset.state === DatasetState.DATASET_STATE_INGESTED) return null;
      return Dataset.create({ ...dataset, state: DatasetState.DATASET_STATE_FAILED, error });
    });
  }

  async tellSummary(encodeSummary: IEncodeSummary): Promise<void> {
    await publishEvent(this.mesh, subjects.event('dataset', encodeSummary.datasetId ?? '', 'encoding'), { encodeSummary });
  }
}
