import { Inject, Injectable } from '@nestjs/common';
import { buckets, type Dataset, type IRejected, type Sample } from '@atelier/contracts';
import { LOGGER, type Logger } from '@atelier/mesh';
import { BlobStore, TensorStore } from '@atelier/store';
import { DatasetRefused } from './dataset-refused';
import { IngestConfig } from './ingest.config';
import type { Identity } from './model-identity';
import { Reading, type Upload } from './reading/reading';
import { SpoolFolder } from './reading/spool-folder';
import { SampleCollection } from './sample-collection';
import { checkTransform } from './transform';

export interface BuiltSamples {
  readonly samples: Sample[];
  readonly duplicates: number;
  /** The first of them by name, where there are many. */
  readonly rejected: IRejected[];
}

/** Files as uploaded → samples. The files are read elsewhere, by processes that may die of them. */
@Injectable()
export class SampleBuilder {
  constructor(
    private readonly blobs: BlobStore,
    private readonly tensors: TensorStore,
    private readonly config: IngestConfig,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /**
   * @throws DatasetRefused when the transform cannot be done, no file can be used or time is up; the signal's reason
   *   when that comes
   *   first: process and folder are gone by then
   */
  async build(dataset: Dataset, identity: Identity, signal: AbortSignal): Promise<BuiltSamples> {
    const { parallel, limits, reader, datasetMinutes, spoolFolder } = this.config;
    const { sizes, flip } = checkTransform(dataset.transform ?? {});
    const wanted = { limits, parallel, trigger: dataset.trigger, sizes, flip, vaeFingerprint: identity.vaeFingerprint };
    const collection = new SampleCollection(this.blobs, this.tensors, identity);
    const timeUp = AbortSignal.timeout(Math.round(datasetMinutes * 60_000));
    const folder = await SpoolFolder.create(spoolFolder);
    try {
      const logger = this.logger.child({ datasetId: dataset.id });
      await new Reading(this.uploads(dataset), wanted, reader, folder, logger).run(
        collection,
        AbortSignal.any([signal, timeUp]),
      );
    } catch (error) {
      if (!timeUp.aborted || signal.aborted) throw error;
      throw new DatasetRefused(
        `it took more than the ${datasetMinutes} minutes that one data set may take: split it, or raise ATELIER_INGEST_MAX_DATASET_MINUTES`,
      );
    } finally {
      await folder.remove();
    }
    const { samples, duplicates, rejections } = collection;
    if (samples.length === 0) throw new DatasetRefused(rejections.asRefusal());
    return { samples, duplicates, rejected: rejections.list() };
  }

  private uploads(dataset: Dataset): Upload[] {
    return dataset.files.map(({ name, blob, size }) => ({
      name: name ?? '',
      size: size ?? 0,
      open: () => this.blobs.stream(buckets.blobs.pictures, blob ?? ''),
    }));
  }
}
