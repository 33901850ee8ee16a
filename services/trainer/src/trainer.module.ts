import { Module, type DynamicModule } from '@nestjs/common';
import { ModelHost, PromptSource } from '@atelier/drawing';
import { Runs } from '@atelier/jobs';
import { LOGGER, Mesh, throughOutage, type Logger } from '@atelier/mesh';
import { BlobStore } from '@atelier/store';
import { AdapterShelf } from './adapter-shelf';
import { DeviceMemory } from './device-memory';
import { PlanController } from './plan.controller';
import { TrainController } from './train.controller';
import { TrainMetrics } from './train.metrics';
import { TrainerConfig } from './trainer.config';
import { TrainerService } from './trainer.service';
import { TrainingStates } from './training-states';
import { Validation } from './validation';

@Module({})
export class TrainerModule {
  static with(config: TrainerConfig): DynamicModule {
    const { model, cacheDir, compute, threads, idleMs, textTokens } = config;
    return {
      module: TrainerModule,
      controllers: [TrainController, PlanController],
      providers: [
        { provide: TrainerConfig, useValue: config },
        { provide: BlobStore, useFactory: (mesh: Mesh) => new BlobStore(mesh), inject: [Mesh] },
        {
          provide: ModelHost,
          useFactory: (logger: Logger) =>
            new ModelHost({
              model,
              cacheDir,
              compute,
              threads,
              idleMs,
              onOpened: (computing) => logger.info({ computing }, 'device'),
            }),
          inject: [LOGGER],
        },
        { provide: PromptSource, useFactory: (mesh: Mesh) => new PromptSource(mesh, textTokens), inject: [Mesh] },
        TrainerService,
        DeviceMemory,
        { provide: Runs, useFactory: (mesh: Mesh) => new Runs(mesh, throughOutage), inject: [Mesh] },
        TrainingStates,
        AdapterShelf,
        Validation,
        TrainMetrics,
      ],
    };
  }
}
