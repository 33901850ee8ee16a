import { Inject, Injectable } from '@nestjs/common';
import { buckets, type Dataset, type Sample } from '@atelier/contracts';
import type { ReadDataset } from '@atelier/jobs';
import { LOGGER, type Logger } from '@atelier/mesh';
import { BlobStore, TensorStore } from '@atelier/store';
import { DatasetRefused, NothingUsable } from './dataset-refused';
import { IngestConfig } from './ingest.config';
import type { Identity } from './model-identity';
import { Reading, type Upload } from './reading/reading';
import { SpoolFolder } from './reading/spool-folder';
import { SampleCollection } from './sample-collection';
import { checkTransform } from './transform';

export interface BuiltSamples {
  readonly samples: Sample[];
  /** What is noted in the data set's entry. */
  readonly read: Omit<ReadDataset, 'manifest'>;
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
    const { trigger, captionColumn: column } = dataset;
    const { vaeFingerprint, maxLength: textTokens } = identity;
    const text = { trigger, column, textTokens, checkpoint: this.config.model };
    const wanted = { limits, parallel, sizes, flip, vaeFingerprint, ...text };
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
    const { samples, count, duplicates, rejections, notes } = collection;
    const read = {
      samples: count,
      duplicates,
      pictures: collection.pictures + rejections.pictures,
      leftOut: rejections.pictures,
      rejected: rejections.list(),
      notes: notes.list(textTokens),
    };
    if (count === 0) throw new NothingUsable(rejections.asRefusal(), read);
    return { samples, read };
  }

  private uploads(dataset: Dataset): Upload[] {
    return dataset.files.map(({ name, blob, size }) => ({
      name: name ?? '',
      size: size ?? 0,
      open: () => this.blobs.stream(buckets.blobs.pictures, blob ?? ''),
    }));
  }
}
