import { Module, type DynamicModule } from '@nestjs/common';
import { PromptSource } from '@atelier/drawing';
import { Generations } from '@atelier/jobs';
import { Mesh, throughOutage } from '@atelier/mesh';
import { computeNeeds, ComputingStatus, LeasedModels, leasePriorities, TransformerStatus } from '@atelier/models';
import { BlobStore } from '@atelier/store';
import { AdapterLibrary } from './adapter-library';
import { GenerateController } from './generate.controller';
import { InferenceConfig } from './inference.config';
import { InferenceMetrics } from './inference.metrics';
import { InferenceService } from './inference.service';
import { Painter } from './painter';
import { Samplers } from './samplers';

@Module({})
export class InferenceModule {
  static with(config: InferenceConfig): DynamicModule {
    return {
      module: InferenceModule,
      controllers: [GenerateController],
      providers: [
        { provide: InferenceConfig, useValue: config },
        { provide: BlobStore, useFactory: (mesh: Mesh) => new BlobStore(mesh, throughOutage), inject: [Mesh] },
        {
          provide: LeasedModels,
          useFactory: (mesh: Mesh, { yields }: InferenceMetrics, computing: ComputingStatus) => {
            const tenant = { owner: 'inference', priority: leasePriorities.drawing, leases: true };
            const told = {
              onYield: () => yields.inc(),
              onOpened: (device: string, note: string) => computing.opened(device, note),
            };
            return new LeasedModels(mesh, config, { ...tenant, ...told });
          },
          inject: [Mesh, InferenceMetrics, ComputingStatus],
        },
        {
          provide: PromptSource,
          useFactory: (mesh: Mesh) => new PromptSource(mesh, config.textTokens),
          inject: [Mesh],
        },
        computeNeeds(config),
        ComputingStatus.of(config),
        TransformerStatus.of(config),
        InferenceService,
        InferenceMetrics,
        Painter,
        AdapterLibrary,
        Samplers,
        {
          provide: Generations,
          useFactory: (mesh: Mesh) => new Generations(mesh, throughOutage),
          inject: [Mesh],
        },
      ],
    };
  }
}
