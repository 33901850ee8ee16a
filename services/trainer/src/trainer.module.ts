import { Module, type DynamicModule } from '@nestjs/common';
import { PromptSource } from '@atelier/drawing';
import { LOGGER, Mesh, type Logger } from '@atelier/mesh';
import { ModelHost } from '@atelier/models';
import { BlobStore } from '@atelier/store';
import { AdapterShelf } from './adapter-shelf';
import { DeviceMemory } from './device-memory';
import { PlanController } from './plan.controller';
import { RunStates } from './run-states';
import { TrainController } from './train.controller';
import { TrainMetrics } from './train.metrics';
import { TrainerConfig } from './trainer.config';
import { TrainerService } from './trainer.service';
import { TrainingStates } from './training-states';
import { Validation } from './validation';

@Module({})
export class TrainerModule {
  static with(config: TrainerConfig): DynamicModule {
    return {
      module: TrainerModule,
      controllers: [TrainController, PlanController],
      providers: [
        { provide: TrainerConfig, useValue: config },
        { provide: BlobStore, useFactory: (mesh: Mesh) => new BlobStore(mesh), inject: [Mesh] },
        {
          provide: ModelHost,
          useFactory: (logger: Logger) =>
            new ModelHost({ ...config, onOpened: (computing) => logger.info({ computing }, 'device') }),
          inject: [LOGGER],
        },
        {
          provide: PromptSource,
          useFactory: (mesh: Mesh) => new PromptSource(mesh, config.textTokens),
          inject: [Mesh],
        },
        TrainerService,
        DeviceMemory,
        RunStates,
        TrainingStates,
        AdapterShelf,
        Validation,
        TrainMetrics,
      ],
    };
  }
}
