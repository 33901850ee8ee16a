import { Controller } from '@nestjs/common';
import { Ctx, Payload } from '@nestjs/microservices';
import { IngestWork, subjects } from '@atelier/contracts';
import { from, GivenUp, Work, type Ending, type GivenUpContext, type WorkContext } from '@atelier/mesh';
import { IngestConfig } from './ingest.config';
import { IngestService } from './ingest.service';

/**
 * Messages taken for each data set that can be read at once: most need no reading (a run on a data set that was read
 * before), and are not to wait behind those that do.
 */
const MESSAGES_A_READING = 4;

const messages = from(IngestConfig, ({ datasets }) => datasets * MESSAGES_A_READING);

@Controller()
export class IngestController {
  constructor(private readonly service: IngestService) {}

  @Work(subjects.work.ingest, IngestWork, {
    concurrency: messages,
    name: ({ datasetId }) => datasetId,
    ids: ({ datasetId, runId }) => ({ datasetId, runId }),
  })
  ingest(@Payload() work: IngestWork, @Ctx() { signal }: WorkContext): Promise<Ending> {
    return this.service.ingest(work, signal);
  }

  @GivenUp(subjects.work.ingest)
  giveUp(@Payload() { datasetId, runId }: IngestWork, @Ctx() { reason }: GivenUpContext): Promise<void> {
    return this.service.giveUp(datasetId, runId, reason);
  }
}
