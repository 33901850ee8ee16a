import { Module, type DynamicModule } from '@nestjs/common';
import { Mesh } from '@atelier/mesh';
import { BlobStore, Encodings } from '@atelier/store';
import { LatentsConfig } from './latents.config';
import { LatentsController } from './latents.controller';
import { LatentsMetrics } from './latents.metrics';
import { LatentsService } from './latents.service';
import { PictureEncoder } from './picture-encoder';

@Module({})
export class LatentsModule {
  static with(config: LatentsConfig): DynamicModule {
    return {
      module: LatentsModule,
      controllers: [LatentsController],
      providers: [
        { provide: LatentsConfig, useValue: config },
        { provide: BlobStore, useFactory: (mesh: Mesh) => new BlobStore(mesh), inject: [Mesh] },
        { provide: Encodings, useFactory: (mesh: Mesh) => new Encodings(mesh, 'latents'), inject: [Mesh] },
        LatentsService,
        LatentsMetrics,
        PictureEncoder,
      ],
    };
  }
}
