import { Controller } from '@nestjs/common';
import { PromptsWork, subjects } from '@atelier/contracts';
import { deadLetter, done, isPermanent, isStoreFull, retryLater, WorkHandler, type Outcome, type WorkContext } from '@atelier/mesh';
import { PromptsConfig } from './prompts.config';
import { PromptsService } from './prompts.service';

@Controller()
export class PromptsController {
  readonly together: number;

  constructor(private readonly service: PromptsService, { together }: PromptsConfig) {
    this.together = together;
  }

  /** A caption that cannot be encoded is given up at once where another try would end the same way, else after the capped tries. */
  @WorkHandler(subjects.work.prompts, PromptsWork, { concurrency: 'together', onExhausted: 'giveUp' })
  async encode(work: PromptsWork, { lastDelivery, signal }: Pick<WorkContext, 'lastDelivery' | 'signal'>): Promise<Outcome> {
    try {
      await this.service.encode(work, signal);
      return done;
    } catch (error) {
      if (signal.aborted) return retryLater(0, 'the service is being stopped');
      if (isStoreFull(error)) throw error; // waited for, and no fault of the work
      if (!isPermanent(error) && !lastDelivery) throw error;
      return this.giveUp(work, (error as Error).message);
    }
  }

  async giveUp(work: PromptsWork, reason: string): Promise<Outcome> {
    await this.service.giveUp(work, reason);
    return deadLetter(reason, work.name);
  }
}
