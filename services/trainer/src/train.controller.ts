import { Controller } from '@nestjs/common';
import { subjects, TrainWork } from '@atelier/contracts';
import { deadLetter, done, isPermanent, isStoreFull, retryLater, WorkHandler, type Outcome, type WorkContext } from '@atelier/mesh';
import { TrainerService } from './trainer.service';

@Controller()
export class TrainController {
  constructor(private readonly service: TrainerService) {}

  @WorkHandler(subjects.work.train, TrainWork, { onExhausted: 'giveUp' })
  async train(work: TrainWork, { signal, lastDelivery }: Pick<WorkContext, 'signal' | 'lastDelivery'>): Promise<Outcome> {
    try {
      const ending = await this.service.train(work, signal);
      return ending === 'over' ? done : retryLater(0, 'the service stops');
    } catch (error) {
      if (isStoreFull(error)) throw error; // waited for, and no fault of the work
      if (!isPermanent(error) && !lastDelivery) throw error;
      return this.giveUp(work, isPermanent(error) ? error.message : `given up after several tries: ${(error as Error).message}`);
    }
  }

  /** Also for work that killed its trainer at every try: nobody else is left to say that the run failed. */
  async giveUp({ runId }: TrainWork, reason: string): Promise<Outcome> {
    await this.service.giveUp(runId, reason);
    return deadLetter(reason, runId);
  }
}
