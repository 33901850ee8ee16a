import { Inject, Injectable } from '@nestjs/common';
import { trainOptionsJson, type IngestWork } from '@atelier/contracts';
import { Datasets, datasetUse, datasetUseText, leftOutText, Runs } from '@atelier/jobs';
import { LOGGER, type Logger } from '@atelier/mesh';
import { DatasetCancelled, found } from './dataset-refused';
import { summarize } from './encoder-work';
import { ModelIdentity } from './model-identity';
import { PreparedDatasets } from './prepared-datasets';
import { RunStart } from './run-start';

/** Pictures that a run's error names. */
const MOST_NAMED = 3;

/**
 * One data set from files to keys: prepared pictures, a manifest, work for the encoders; and its runs on their way.
 * Every step is by key or compare-and-set, so doing it twice leaves the same.
 */
@Injectable()
export class IngestService {
  constructor(
    private readonly datasets: Datasets,
    private readonly runs: Runs,
    private readonly identity: ModelIdentity,
    private readonly prepared: PreparedDatasets,
    private readonly runStart: RunStart,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /**
   * A data set's message has it read, encoded, and the runs that wait for it started; a run's message starts that run.
   * @param stopping raised when the service is to stop: reading is then put down at once, and begun anew by whoever
   *   gets the work next
   * @returns 'over' also for a data set that was cancelled
   * @throws DatasetRefused when the data set as a whole cannot be used
   */
  async ingest({ datasetId, runId }: IngestWork, stopping: AbortSignal): Promise<'over' | 'put down'> {
    if (runId && !(await this.canStart(datasetId, runId))) return 'over';
    try {
      const identity = await this.identity.get();
      const { stored, missing } = await this.prepared.get(datasetId, identity, stopping);
      await this.runStart.request(missing, datasetId, identity);
      const summary = summarize(missing, datasetId, runId);
      this.logger.info(summary, 'encoder work');
      await this.datasets.tellSummary(datasetId, summary);
      await this.each(datasetId, runId, (id) =>
        this.start(id, datasetId, () => this.runStart.start(id, stored, identity, summary)),
      );
      return 'over';
    } catch (error) {
      if (error instanceof DatasetCancelled) {
        await this.cancelled(datasetId, runId, error);
        return 'over';
      }
      if (stopping.aborted) return 'put down';
      if (!runId && !(await this.datasets.find(datasetId))) {
        this.logger.info({ datasetId }, 'the data set was deleted: nothing to do');
        return 'over';
      }
      throw error;
    }
  }

  /** Not one that is to fail where a picture cannot be used, when there is one. */
  private async start(runId: string, datasetId: string, begin: () => Promise<void>): Promise<void> {
    const run = await this.runs.find(runId);
    const dataset = found(datasetId, await this.datasets.find(datasetId));
    const { leftOut } = datasetUse(dataset);
    if (!run || leftOut === 0 || trainOptionsJson(run.options).on_bad_sample !== 'fail') return begin();
    const which = leftOutText(dataset, MOST_NAMED);
    await this.runs.failed(
      runId,
      `data set ${dataset.name}: ${datasetUseText(dataset)}, and the run is to fail for them: ${which}`,
    );
  }

  /** Marks the data set (unless it was read before) and those who wait for it as failed, or the run that it is about. */
  async giveUp(datasetId: string, runId: string, reason: string): Promise<void> {
    const dataset = runId ? await this.datasets.find(datasetId) : await this.datasets.failed(datasetId, reason);
    await this.each(datasetId, runId, (id) =>
      this.runs.failed(id, `data set ${dataset?.name ?? datasetId}: ${reason}`),
    );
  }

  private async canStart(datasetId: string, runId: string): Promise<boolean> {
    if (!(await this.runs.wantsWork(runId))) {
      this.logger.info({ datasetId, runId }, 'the run is over or cancelled: nothing to do');
      return false;
    }
    // Whoever asked did not know of waiting, or the data set was uploaded after all.
    return !(await this.datasets.keepWaiting(datasetId, runId));
  }

  private async cancelled(datasetId: string, runId: string, { message }: DatasetCancelled): Promise<void> {
    const dataset = found(datasetId, await this.datasets.find(datasetId));
    await this.datasets.tellState(dataset);
    await this.each(datasetId, runId, (id) => this.runs.failed(id, `data set ${dataset.name}: ${message}`));
    this.logger.info({ datasetId, runId }, 'the data set is cancelled');
  }

  /**
   * The run that a message is about, or all that wait for its data set. That is over by now, so nobody comes to them; and
   * its message is on the queue until the last of them has been seen to, so nobody is forgotten.
   */
  private async each(datasetId: string, runId: string, seeTo: (id: string) => Promise<void>): Promise<void> {
    if (runId) return seeTo(runId);
    const waiting = (await this.datasets.find(datasetId))?.waitingRuns ?? [];
    for (const id of waiting) await seeTo(id);
    await this.datasets.waitNoMore(datasetId, waiting);
  }
}
