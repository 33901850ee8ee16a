import { Controller } from '@nestjs/common';
import { Ctx, Payload } from '@nestjs/microservices';
import { GenerateWork, subjects } from '@atelier/contracts';
import { GivenUp, Work, type Ending, type GivenUpContext, type WorkContext } from '@atelier/mesh';
import { InferenceService } from './inference.service';

@Controller()
export class GenerateController {
  constructor(private readonly service: InferenceService) {}

  @Work(subjects.work.generate, GenerateWork, { name: ({ id }) => id, ids: ({ id }) => ({ drawingId: id }) })
  generate(@Payload() work: GenerateWork, @Ctx() context: WorkContext): Promise<Ending> {
    return this.service.generate(work, context);
  }

  /** Also of work that killed the service at every attempt: nobody else is left to say that the drawing failed. */
  @GivenUp(subjects.work.generate)
  giveUp(@Payload() { id }: GenerateWork, @Ctx() { reason }: GivenUpContext): Promise<void> {
    return this.service.giveUp(id, reason);
  }
}
