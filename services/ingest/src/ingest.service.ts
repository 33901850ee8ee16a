import { Inject, Injectable } from '@nestjs/common';
import type { IngestWork } from '@atelier/contracts';
import { Datasets, Runs } from '@atelier/jobs';
import { LOGGER, type Logger } from '@atelier/mesh';
import { DatasetCancelled, DatasetRefused, found } from './dataset-refused';
import { EncoderWork, summarize } from './encoder-work';
import { ModelIdentity } from './model-identity';
import { PreparedDatasets } from './prepared-datasets';

/**
 * One data set from files to keys: prepared pictures, a manifest, work for the encoders, and for a run its
 * training work. Every step is by key or compare-and-set, so doing it twice leaves the same.
 */
@Injectable()
export class IngestService {
  constructor(
    private readonly datasets: Datasets,
    private readonly runs: Runs,
    private readonly identity: ModelIdentity,
    private readonly prepared: PreparedDatasets,
    private readonly encoders: EncoderWork,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /**
   * @param stopping raised when the service is to stop: reading is then put down at once, and begun anew by whoever
   *   gets the work next
   * @returns 'over' also for a data set that was cancelled
   * @throws DatasetRefused when the data set as a whole cannot be used; it and its run are marked as failed by then
   */
  async ingest({ datasetId, runId }: IngestWork, stopping: AbortSignal): Promise<'over' | 'put down'> {
    if (runId && !(await this.runs.wantsWork(runId))) {
      this.logger.info({ datasetId, runId }, 'the run is over or cancelled: nothing to do');
      return 'over';
    }
    try {
      const identity = await this.identity.get();
      const { stored, missing } = await this.prepared.get(datasetId, identity, stopping);
      await this.encoders.request(missing, datasetId, identity.maxLength);
      const summary = summarize(missing, datasetId, runId);
      this.logger.info(summary, 'encoder work');
      await this.datasets.tellSummary(datasetId, summary);
      if (runId) await this.runs.startEncoding(runId, stored.name, summary);
      return 'over';
    } catch (error) {
      if (error instanceof DatasetRefused) await this.giveUp(datasetId, runId, error.message);
      if (error instanceof DatasetCancelled) {
        await this.cancelled(datasetId, runId, error);
        return 'over';
      }
      if (stopping.aborted) return 'put down';
      throw error;
    }
  }

  /** Marks the data set (unless it was read before) and the run as failed, with the reason. */
  async giveUp(datasetId: string, runId: string, reason: string): Promise<void> {
    const dataset = await this.datasets.failed(datasetId, reason);
    if (runId) await this.runs.failed(runId, `data set ${dataset?.name ?? datasetId}: ${reason}`);
  }

  private async cancelled(datasetId: string, runId: string, { message }: DatasetCancelled): Promise<void> {
    const dataset = found(datasetId, await this.datasets.find(datasetId));
    await this.datasets.tellState(dataset);
    if (runId) await this.runs.failed(runId, `data set ${dataset.name}: ${message}`);
    this.logger.info({ datasetId, runId }, 'the data set is cancelled');
  }
}
