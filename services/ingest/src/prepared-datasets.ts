import { Inject, Injectable } from '@nestjs/common';
import { DatasetState, type Dataset } from '@atelier/contracts';
import { Datasets, isDatasetCancelled } from '@atelier/jobs';
import { LOGGER, type Logger } from '@atelier/mesh';
import { DatasetCancelled, found, NothingUsable } from './dataset-refused';
import { EncoderWork, type Missing } from './encoder-work';
import { IngestConfig } from './ingest.config';
import { Manifests, type StoredManifest } from './manifests';
import type { Identity } from './model-identity';
import { SampleBuilder, type BuiltSamples } from './sample-builder';
import { Turns } from './reading/turns';

/** A data set's manifest, and what of it the encoders have not made yet. */
export interface PreparedDataset {
  readonly stored: StoredManifest;
  readonly missing: Missing;
}

/** Data sets as manifests: as they were read before, or read now, when it is their turn. */
@Injectable()
export class PreparedDatasets {
  private readonly turns: Turns;

  constructor(
    private readonly datasets: Datasets,
    private readonly builder: SampleBuilder,
    private readonly manifests: Manifests,
    private readonly encoders: EncoderWork,
    config: IngestConfig,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    this.turns = new Turns(config.datasets);
  }

  /** @throws DatasetCancelled as soon as someone cancels it; the signal's reason when the service is to stop */
  async get(id: string, identity: Identity, stopping: AbortSignal): Promise<PreparedDataset> {
    const readBefore = await this.reuse(await this.find(id), identity);
    if (readBefore) return readBefore;
    const watch = this.datasets.watch(id);
    const signal = AbortSignal.any([watch.met, stopping]);
    try {
      return await this.turns.run(id, signal, async () => {
        const dataset = await this.find(id); // whoever had the turn before may have read it
        return (await this.reuse(dataset, identity)) ?? (await this.read(dataset, identity, signal));
      });
    } catch (error) {
      throw watch.met.aborted ? new DatasetCancelled() : error;
    } finally {
      await watch.close();
    }
  }

  /**
   * A data set that was read before for this model is not read again, as long as what is still to be encoded is at
   * hand.
   */
  private async reuse(dataset: Dataset, identity: Identity): Promise<PreparedDataset | undefined> {
    if (isDatasetCancelled(dataset)) throw new DatasetCancelled();
    if (dataset.state !== DatasetState.DATASET_STATE_INGESTED) return undefined;
    const stored = await this.manifests.find(dataset, identity);
    if (!stored) return undefined;
    const missing = await this.encoders.missing(stored.manifest);
    return (await this.encoders.canEncode(missing)) ? { stored, missing } : undefined;
  }

  private async find(id: string): Promise<Dataset> {
    return found(id, await this.datasets.find(id));
  }

  private async read(dataset: Dataset, identity: Identity, signal: AbortSignal): Promise<PreparedDataset> {
    const { samples, read } = await this.build(dataset, identity, signal);
    const stored = await this.manifests.save(dataset, samples, identity);
    if (isDatasetCancelled(await this.datasets.ingested(dataset.id, { ...read, manifest: stored.name })))
      throw new DatasetCancelled();
    const { samples: used, duplicates, pictures, leftOut } = read;
    this.logger.info({ dataset: dataset.name, samples: used, duplicates, pictures, leftOut }, 'data set read');
    const missing = await this.encoders.missing(stored.manifest);
    if (await this.encoders.canEncode(missing)) return { stored, missing };
    // What was there when it was read has been cleared since: read again, it is prepared anew.
    this.logger.info({ dataset: dataset.name }, 'prepared pictures are gone: the data set is read once more');
    return this.read(dataset, identity, signal);
  }

  /** What is wrong with each file is noted also where none can be used. */
  private async build(dataset: Dataset, identity: Identity, signal: AbortSignal): Promise<BuiltSamples> {
    try {
      return await this.builder.build(dataset, identity, signal);
    } catch (error) {
      if (error instanceof NothingUsable) await this.datasets.unusable(dataset.id, error.read);
      throw error;
    }
  }
}
