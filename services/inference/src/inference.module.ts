import { Module, type DynamicModule } from '@nestjs/common';
import { ModelHost, PromptSource } from '@atelier/drawing';
import { Generations } from '@atelier/jobs';
import { Mesh, throughOutage } from '@atelier/mesh';
import { BlobStore } from '@atelier/store';
import { AdapterLibrary } from './adapter-library';
import { DeviceMemory } from './device-memory';
import { GenerateController } from './generate.controller';
import { InferenceConfig } from './inference.config';
import { InferenceMetrics } from './inference.metrics';
import { InferenceService } from './inference.service';
import { Samplers } from './samplers';

@Module({})
export class InferenceModule {
  static with(config: InferenceConfig): DynamicModule {
    return {
      module: InferenceModule,
      controllers: [GenerateController],
      providers: [
        { provide: InferenceConfig, useValue: config },
        { provide: BlobStore, useFactory: (mesh: Mesh) => new BlobStore(mesh), inject: [Mesh] },
        { provide: ModelHost, useFactory: (memory: DeviceMemory) => memory.models, inject: [DeviceMemory] },
        {
          provide: PromptSource,
          useFactory: (mesh: Mesh) => new PromptSource(mesh, config.textTokens),
          inject: [Mesh],
        },
        InferenceService,
        InferenceMetrics,
        AdapterLibrary,
        Samplers,
        DeviceMemory,
        {
          provide: Generations,
          useFactory: (mesh: Mesh) => new Generations(mesh, throughOutage),
          inject: [Mesh],
        },
      ],
    };
  }
}
