import { Module, type DynamicModule } from '@nestjs/common';
import { EncodedRuns, Runs } from '@atelier/jobs';
import { Mesh } from '@atelier/mesh';
import { computeNeeds, ComputingStatus, LeasedModels, leasePriorities } from '@atelier/models';
import { BlobStore, Encodings } from '@atelier/store';
import { LatentsConfig } from './latents.config';
import { LatentsController } from './latents.controller';
import { LatentsMetrics } from './latents.metrics';
import { LatentsService } from './latents.service';
import { PictureEncoder } from './picture-encoder';

@Module({})
export class LatentsModule {
  static with(config: LatentsConfig): DynamicModule {
    const tenant = { owner: 'latents', priority: leasePriorities.encoding, leases: config.deviceShared };
    return {
      module: LatentsModule,
      controllers: [LatentsController],
      providers: [
        { provide: LatentsConfig, useValue: config },
        {
          provide: LeasedModels,
          useFactory: (mesh: Mesh, computing: ComputingStatus) =>
            new LeasedModels(mesh, config, { ...tenant, onOpened: (...told) => computing.opened(...told) }),
          inject: [Mesh, ComputingStatus],
        },
        { provide: BlobStore, useFactory: (mesh: Mesh) => new BlobStore(mesh), inject: [Mesh] },
        computeNeeds(config),
        ComputingStatus.of(config),
        { provide: Encodings, useFactory: (mesh: Mesh) => new Encodings(mesh, 'latents'), inject: [Mesh] },
        { provide: EncodedRuns, useFactory: (mesh: Mesh) => new EncodedRuns(mesh, new Runs(mesh)), inject: [Mesh] },
        LatentsService,
        LatentsMetrics,
        PictureEncoder,
      ],
    };
  }
}
