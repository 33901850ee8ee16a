import { Controller } from '@nestjs/common';
import { IngestWork, subjects } from '@atelier/contracts';
import { deadLetter, done, WorkHandler, type Outcome, type WorkContext } from '@atelier/mesh';
import { DatasetRefused } from './dataset-refused';
import { IngestService } from './ingest.service';

@Controller()
export class IngestController {
  constructor(private readonly service: IngestService) {}

  @WorkHandler(subjects.work.ingest, IngestWork, { onExhausted: 'giveUp' })
  async ingest(work: IngestWork, { signal }: Pick<WorkContext, 'signal'>): Promise<Outcome> {
    try {
      await this.service.ingest(work, signal);
      return done;
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
