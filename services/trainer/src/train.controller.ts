import { Controller } from '@nestjs/common';
import { Ctx, Payload } from '@nestjs/microservices';
import { subjects, TrainWork } from '@atelier/contracts';
import { GivenUp, Work, type Ending, type GivenUpContext, type WorkContext } from '@atelier/mesh';
import { TrainerService } from './trainer.service';

@Controller()
export class TrainController {
  constructor(private readonly service: TrainerService) {}

  @Work(subjects.work.train, TrainWork, { name: ({ runId }) => runId, ids: ({ runId }) => ({ runId }) })
  train(@Payload() work: TrainWork, @Ctx() context: WorkContext): Promise<Ending> {
    return this.service.train(work, context);
  }

  /** Also of work that killed its trainer at every attempt: nobody else is left to say that the run failed. */
  @GivenUp(subjects.work.train)
  giveUp(@Payload() { runId }: TrainWork, @Ctx() context: GivenUpContext): Promise<void> {
    return this.service.giveUp(runId, context);
  }
}
