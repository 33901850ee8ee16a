import { Module, type DynamicModule } from '@nestjs/common';
import { EncodedRuns, Runs } from '@atelier/jobs';
import { Mesh } from '@atelier/mesh';
import { computeNeeds, ComputingStatus, LeasedModels, leasePriorities } from '@atelier/models';
import { Encodings } from '@atelier/store';
import { PromptsConfig } from './prompts.config';
import { PromptsController } from './prompts.controller';
import { PromptsMetrics } from './prompts.metrics';
import { PromptsService } from './prompts.service';
import { CaptionEncoder } from './caption-encoder';

@Module({})
export class PromptsModule {
  static with(config: PromptsConfig): DynamicModule {
    const tenant = { owner: 'prompts', priority: leasePriorities.encoding, leases: config.deviceShared };
    return {
      module: PromptsModule,
      controllers: [PromptsController],
      providers: [
        { provide: PromptsConfig, useValue: config },
        {
          provide: LeasedModels,
          useFactory: (mesh: Mesh, computing: ComputingStatus) =>
            new LeasedModels(mesh, config, { ...tenant, onOpened: (...told) => computing.opened(...told) }),
          inject: [Mesh, ComputingStatus],
        },
        computeNeeds(config),
        ComputingStatus.of(config),
        { provide: Encodings, useFactory: (mesh: Mesh) => new Encodings(mesh, 'prompts'), inject: [Mesh] },
        { provide: EncodedRuns, useFactory: (mesh: Mesh) => new EncodedRuns(mesh, new Runs(mesh)), inject: [Mesh] },
        PromptsService,
        PromptsMetrics,
        CaptionEncoder,
      ],
    };
  }
}
