import { Injectable } from '@nestjs/common';
import { readTrainOptions, type IMemoryPlan, type PlanRequest } from '@atelier/contracts';
import { ModelHost } from '@atelier/models';
import { DeviceMemory } from './device-memory';
import { engineOptions, shapeOf } from './engine-options';
import { fittingPlan } from './fitting-plan';
import { Validation } from './validation';

type Planned = Pick<PlanRequest, 'width' | 'height' | 'textTokens' | 'options'>;

/** Says what a run would take. */
@Injectable()
export class PlanService {
  constructor(
    private readonly models: ModelHost,
    private readonly memory: DeviceMemory,
    private readonly validation: Validation,
  ) {}

  /** Memory of a run on this device, to the byte, before it starts. */
  async plan({ options, width, height, textTokens }: Planned): Promise<IMemoryPlan> {
    return this.models.use(async (models) => {
      const complete = readTrainOptions(options);
      const engine = engineOptions(complete, models.checkpoint);
      const shape = shapeOf(width, height, textTokens);
      const transformer = await models.transformer(complete.quant);
      const extra = await this.validation.extraBytes(models, transformer, complete, shape);
      return (await fittingPlan(transformer, engine, [shape], this.memory.capacity - extra)).plan;
    });
  }
}
