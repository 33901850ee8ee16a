import { Controller } from '@nestjs/common';
import { Ctx, Payload } from '@nestjs/microservices';
import { PromptsWork, subjects } from '@atelier/contracts';
import { from, GivenUp, Work, type GivenUpContext, type WorkContext } from '@atelier/mesh';
import { PromptsConfig } from './prompts.config';
import { PromptsService } from './prompts.service';

const together = from(PromptsConfig, (config) => config.together);

@Controller()
export class PromptsController {
  constructor(private readonly service: PromptsService) {}

  @Work(subjects.work.prompts, PromptsWork, {
    concurrency: together,
    name: ({ name }) => name,
    ids: ({ datasetId }) => ({ datasetId }),
  })
  encode(@Payload() work: PromptsWork, @Ctx() { signal }: WorkContext): Promise<void> {
    return this.service.encode(work, signal);
  }

  @GivenUp(subjects.work.prompts)
  giveUp(@Payload() work: PromptsWork, @Ctx() context: GivenUpContext): Promise<void> {
    return this.service.giveUp(work, context);
  }
}
