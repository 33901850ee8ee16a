import { Controller } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { calls, PlanRequest, type IMemoryPlan } from '@atelier/contracts';
import { Answers } from '@atelier/mesh';
import { PlanService } from './plan.service';

@Controller()
export class PlanController {
  constructor(private readonly service: PlanService) {}

  @Answers(calls.plan)
  plan(@Payload() request: PlanRequest): Promise<IMemoryPlan> {
    return this.service.plan(request);
  }
}
