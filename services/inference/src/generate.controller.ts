import { Controller } from '@nestjs/common';
import { GenerateWork, subjects } from '@atelier/contracts';
import { deadLetter, done, isPermanent, isStoreFull, retryLater, WorkHandler, type Outcome, type WorkContext } from '@atelier/mesh';
import { InferenceService } from './inference.service';

@Controller()
export class GenerateController {
  constructor(private readonly service: InferenceService) {}

  @WorkHandler(subjects.work.generate, GenerateWork, { onExhausted: 'giveUp' })
  async generate(work: GenerateWork, { signal, lastDelivery }: Pick<WorkContext, 'signal' | 'lastDelivery'>): Promise<Outcome> {
    try {
      const ending = await this.service.generate(work, signal);
      return ending === 'over' ? done : retryLater(0, 'the service stops');
    } catch (error) {
      if (isStoreFull(error)) throw error; // waited for, and no fault of the work
      if (!isPermanent(error) && !lastDelivery) throw error;
      return this.giveUp(work, isPermanent(error) ? error.message : `given up after several tries: ${(error as Error).message}`);
    }
  }

  /** Also for work that killed the service at every try: nobody else is left to say that the drawing failed. */
  async giveUp({ id }: GenerateWork, reason: string): Promise<Outcome> {
    await this.service.giveUp(id, reason);
    return deadLetter(reason, id);
  }
}
