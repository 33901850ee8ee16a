import { Controller } from '@nestjs/common';
import { IngestWork, subjects } from '@atelier/contracts';
import { deadLetter, done, retryLater, WorkHandler, type Outcome, type WorkContext } from '@atelier/mesh';
import { DatasetRefused } from './dataset-refused';
import { IngestConfig } from './ingest.config';
import { IngestService } from './ingest.service';

/**
 * Messages taken for each data set that can be read at once: most need no reading (a run on a data set that was read
 * before), and are not to wait behind those that do.
 */
const MESSAGES_A_READING = 4;

@Controller()
export class IngestController {
  readonly messages: number;

  constructor(
    private readonly service: IngestService,
    config: IngestConfig,
  ) {
    this.messages = config.datasets * MESSAGES_A_READING;
  }

  @WorkHandler(subjects.work.ingest, IngestWork, { concurrency: 'messages', onExhausted: 'giveUp' })
  async ingest(work: IngestWork, { signal }: Pick<WorkContext, 'signal'>): Promise<Outcome> {
    try {
      return (await this.service.ingest(work, signal)) === 'over' ? done : retryLater(0, 'the service stops');
    } catch (error) {
      if (error instanceof DatasetRefused) return deadLetter(error.message, work.datasetId);
      throw error;
    }
  }

  async giveUp({ datasetId, runId }: IngestWork, reason: string): Promise<Outcome> {
    await this.service.giveUp(datasetId, runId, reason);
    return deadLetter(reason, datasetId);
  }
}
