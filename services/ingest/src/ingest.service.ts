import { Inject, Injectable } from '@nestjs/common';
import { DatasetState, type Dataset, type IngestWork, type IRejected } from '@atelier/contracts';
import { LOGGER, type Logger } from '@atelier/mesh';
import { DatasetRefused } from './dataset-refused';
import { DatasetStates } from './dataset-states';
import { EncoderWork, summarize, type Missing } from './encoder-work';
import { Manifests, type StoredManifest } from './manifests';
import { ModelIdentity, type Identity } from './model-identity';
import { RunStates } from './run-states';
import { SampleBuilder } from './sample-builder';

/** How many unusable files a data set lists by name; state has to fit into one message. */
const MAX_LISTED = 1000;

/**
 * One data set from files to keys: prepared pictures, a manifest, work for the encoders, and for a run its
 * training work. Every step is by key or compare-and-set, so doing it twice leaves the same.
 */
@Injectable()
export class IngestService {
  constructor(
    private readonly datasets: DatasetStates,
    private readonly runs: RunStates,
    private readonly identity: ModelIdentity,
    private readonly builder: SampleBuilder,
    private readonly manifests: Manifests,
    private readonly encoders: EncoderWork,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /**
   * @param stopping raised when the service is to stop: it is then put down before the next picture, and those that are
   * prepared are not stored again
   * @throws DatasetRefused when the data set as a whole cannot be used; it and its run are marked as failed by then
   */
  async ingest({ datasetId, runId }: IngestWork, stopping: AbortSignal): Promise<void> {
    if (runId && !(await this.runs.wantsWork(runId))) {
      this.logger.info({ datasetId, runId }, 'the run is over or cancelled: nothing to do');
      return;
    }
    try {
      const dataset = await this.datasets.get(datasetId);
      const identity = await this.identity.get();
      const reused = await this.reuse(dataset, identity);
      const { stored, missing } = reused ?? (await this.read(dataset, identity, stopping));
      await this.encoders.request(missing, datasetId, identity.maxLength, runId || datasetId);
      const summary = summarize(missing, datasetId, runId);
      this.logger.info(summary, 'encoder work');
      await this.datasets.tellSummary(summary);
      if (runId) await this.runs.startEncoding(runId, stored.name, summary);
    } catch (error) {
      if (error instanceof DatasetRefused) await this.giveUp(datasetId, runId, error.message);
      throw error;
    }
  }

  /** Marks the data set (unless it was read before) and the run as failed, with the reason. */
  async giveUp(datasetId: string, runId: string, reason: string): Promise<void> {
    const dataset = await this.datasets.fail(datasetId, reason);
    if (runId) await this.runs.fail(runId, `data set ${dataset?.name ?? datasetId}: ${reason}`);
  }

  /** A data set that was read before for this model is not read again, as long as what is still to be encoded is at hand. */
  private async reuse(dataset: Dataset, identity: Identity): Promise<{ stored: StoredManifest; missing: Missing } | undefined> {
    if (dataset.state !== DatasetState.DATASET_STATE_INGESTED) return undefined;
    const stored = await this.manifests.find(dataset, identity);
    if (!stored) return undefined;
    const missing = await this.encoders.missing(stored.manifest);
    return (await this.encoders.canEncode(missing)) ? { stored, missing } : undefined;
  }

  private async read(
    dataset: Dataset,
    identity: Identity,
    stopping: AbortSignal,
  ): Promise<{ stored: StoredManifest; missing: Missing }> {
    const { samples, duplicates, rejected } = await this.builder.build(dataset, identity, stopping);
    const stored = await this.manifests.save(dataset, samples, identity);
    await this.datasets.ingested(dataset.id, { manifest: stored.name, samples: samples.length, duplicates, rejected: listed(rejected) });
    this.logger.info({ dataset: dataset.name, samples: samples.length, duplicates, rejected: rejected.length }, 'data set read');
    return { stored, missing: await this.encoders.missing(stored.manifest) };
  }
}

function listed(rejected: IRejected[]): IRejected[] {
  if (rejected.length <= MAX_LISTED) return rejected;
  return [...rejected.slice(0, MAX_LISTED), { name: '…', reason: `and ${rejected.length - MAX_LISTED} more files that cannot be used` }];
}
