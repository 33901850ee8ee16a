import { Controller } from '@nestjs/common';
import { GenerateWork, subjects } from '@atelier/contracts';
import { deadLetter, done, isPermanent, retryLater, WorkHandler, type Outcome, type WorkContext } from '@atelier/mesh';
import { InferenceService } from './inference.service';

@Controller()
export class GenerateController {
  constructor(private readonly service: InferenceService) {}

  @WorkHandler(subjects.work.generate, GenerateWork, { onExhausted: 'giveUp' })
  async generate(work: GenerateWork, context: Pick<WorkContext, 'attempt' | 'progress' | 'signal'>): Promise<Outcome> {
    try {
      const ending = await this.service.generate(work, context);
      return ending === 'over' ? done : retryLater(0, 'the service stops');
    } catch (error) {
      if (!isPermanent(error)) throw error;
      return this.giveUp(work, error.message);
    }
  }

  /** Also for work that killed the service at every attempt: nobody else is left to say that the drawing failed. */
  async giveUp({ id }: GenerateWork, reason: string): Promise<Outcome> {
    await this.service.giveUp(id, reason);
    return deadLetter(reason, id);
  }
}
