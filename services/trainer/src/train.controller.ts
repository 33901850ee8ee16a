import { Controller } from '@nestjs/common';
import { subjects, TrainWork } from '@atelier/contracts';
import { deadLetter, done, isPermanent, retryLater, WorkHandler, type Outcome, type WorkContext } from '@atelier/mesh';
import { TrainerService } from './trainer.service';

@Controller()
export class TrainController {
  constructor(private readonly service: TrainerService) {}

  @WorkHandler(subjects.work.train, TrainWork, { onExhausted: 'giveUp' })
  async train(work: TrainWork, context: Pick<WorkContext, 'attempt' | 'progress' | 'signal'>): Promise<Outcome> {
    try {
      const ending = await this.service.train(work, context);
      return ending === 'over' ? done : retryLater(0, 'the service stops');
    } catch (error) {
      if (!isPermanent(error)) throw error;
      return this.giveUp(work, error.message);
    }
  }

  /** Also for work that killed its trainer at every attempt: nobody else is left to say that the run failed. */
  async giveUp({ runId }: TrainWork, reason: string): Promise<Outcome> {
    await this.service.giveUp(runId, reason);
    return deadLetter(reason, runId);
  }
}
