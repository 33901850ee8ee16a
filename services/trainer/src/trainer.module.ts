import { Module, type DynamicModule } from '@nestjs/common';
import { PromptSource } from '@atelier/drawing';
import { Runs, TrainersQueue } from '@atelier/jobs';
import { Mesh, throughOutage } from '@atelier/mesh';
import { computeNeeds, ComputingStatus, ModelHost } from '@atelier/models';
import { BlobStore } from '@atelier/store';
import { AdapterKeeping } from './adapter-keeping';
import { AdapterShelf } from './adapter-shelf';
import { DeviceMemory } from './device-memory';
import { LocalStates } from './local-states';
import { Manifests } from './manifests';
import { PlanController } from './plan.controller';
import { PlanService } from './plan.service';
import { SampleFetcher } from './run-samples';
import { TrainController } from './train.controller';
import { TrainMetrics } from './train.metrics';
import { TrainerConfig } from './trainer.config';
import { TrainerService } from './trainer.service';
import { TrainingAttempts } from './training-attempts';
import { TrainingStates } from './training-states';
import { Validation } from './validation';
import { Workshop } from './workshop';

@Module({})
export class TrainerModule {
  static with(config: TrainerConfig): DynamicModule {
    return {
      module: TrainerModule,
      controllers: [TrainController, PlanController],
      providers: [
        { provide: TrainerConfig, useValue: config },
        { provide: BlobStore, useFactory: (mesh: Mesh) => new BlobStore(mesh, throughOutage), inject: [Mesh] },
        {
          provide: ModelHost,
          useFactory: (computing: ComputingStatus) =>
            new ModelHost({ ...config, onOpened: (...told) => computing.opened(...told) }),
          inject: [ComputingStatus],
        },
        {
          provide: PromptSource,
          useFactory: (mesh: Mesh) => new PromptSource(mesh, config.textTokens),
          inject: [Mesh],
        },
        computeNeeds(config),
        ComputingStatus.of(config),
        TrainerService,
        PlanService,
        TrainingAttempts,
        Manifests,
        SampleFetcher,
        Workshop,
        DeviceMemory,
        {
          provide: TrainersQueue,
          useFactory: (mesh: Mesh) => new TrainersQueue(mesh, throughOutage),
          inject: [Mesh],
        },
        { provide: Runs, useFactory: (mesh: Mesh) => new Runs(mesh, throughOutage), inject: [Mesh] },
        TrainingStates,
        LocalStates,
        AdapterShelf,
        AdapterKeeping,
        Validation,
        TrainMetrics,
      ],
    };
  }
}
