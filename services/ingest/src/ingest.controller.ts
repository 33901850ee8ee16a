import { Controller } from '@nestjs/common';
import { IngestWork, subjects } from '@atelier/contracts';
import { deadLetter, done, isStoreFull, WorkHandler, type Outcome, type WorkContext } from '@atelier/mesh';
import { DatasetRefused } from './dataset-refused';
import { IngestService } from './ingest.service';

@Controller()
export class IngestController {
  constructor(private readonly service: IngestService) {}

  @WorkHandler(subjects.work.ingest, IngestWork, { onExhausted: 'giveUp' })
  async ingest(work: IngestWork, { lastDelivery }: Pick<WorkContext, 'lastDelivery'>): Promise<Outcome> {
    try {
      await this.service.ingest(work);
      return done;
    } catch (error) {
      if (error instanceof DatasetRefused) return deadLetter(error.message, work.datasetId);
      if (isStoreFull(error) || !lastDelivery) throw error; // a full store is waited for, and no fault of the work
      return this.giveUp(work, `could not be read in several tries: ${(error as Error).message}`);
    }
  }

  async giveUp({ datasetId, runId }: IngestWork, reason: string): Promise<Outcome> {
    await this.service.giveUp(datasetId, runId, reason);
    return deadLetter(reason, datasetId);
  }
}
