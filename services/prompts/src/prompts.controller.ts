import { Controller } from '@nestjs/common';
import { PromptsWork, subjects } from '@atelier/contracts';
import { deadLetter, done, isPermanent, WorkHandler, type Outcome, type WorkContext } from '@atelier/mesh';
import { PromptsConfig } from './prompts.config';
import { PromptsService } from './prompts.service';

@Controller()
export class PromptsController {
  readonly together: number;

  constructor(
    private readonly service: PromptsService,
    { together }: PromptsConfig,
  ) {
    this.together = together;
  }

  /**
   * A caption that cannot be encoded is given up at once where another try would end the same way, else when its
   * attempts are used up.
   */
  @WorkHandler(subjects.work.prompts, PromptsWork, { concurrency: 'together', onExhausted: 'giveUp' })
  async encode(work: PromptsWork, { signal }: Pick<WorkContext, 'signal'>): Promise<Outcome> {
    try {
      await this.service.encode(work, signal);
      return done;
    } catch (error) {
      if (signal.aborted || !isPermanent(error)) throw error;
      return this.giveUp(work, error.message);
    }
  }

  async giveUp(work: PromptsWork, reason: string): Promise<Outcome> {
    await this.service.giveUp(work, reason);
    return deadLetter(reason, work.name);
  }
}
