import { Controller } from '@nestjs/common';
import { MemoryPlan, PlanRequest, type IMemoryPlan } from '@atelier/contracts';
import { Rpc } from '@atelier/mesh';
import { PlanService } from './plan.service';

@Controller()
export class PlanController {
  constructor(private readonly service: PlanService) {}

  @Rpc('trainer', 'plan', PlanRequest, MemoryPlan)
  plan(request: PlanRequest): Promise<IMemoryPlan> {
    return this.service.plan(request);
  }
}
