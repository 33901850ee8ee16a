import { Controller } from '@nestjs/common';
import { Ctx, Payload } from '@nestjs/microservices';
import { LatentsWork, subjects } from '@atelier/contracts';
import { GivenUp, Work, type GivenUpContext, type WorkContext } from '@atelier/mesh';
import { LatentsService } from './latents.service';

@Controller()
export class LatentsController {
  constructor(private readonly service: LatentsService) {}

  @Work(subjects.work.latents, LatentsWork, { name: ({ name }) => name, ids: ({ datasetId }) => ({ datasetId }) })
  encode(@Payload() work: LatentsWork, @Ctx() { signal }: WorkContext): Promise<void> {
    return this.service.encode(work, signal);
  }

  @GivenUp(subjects.work.latents)
  giveUp(@Payload() work: LatentsWork, @Ctx() context: GivenUpContext): Promise<void> {
    return this.service.giveUp(work, context);
  }
}
