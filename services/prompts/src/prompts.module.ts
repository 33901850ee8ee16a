import { Module, type DynamicModule } from '@nestjs/common';
import { Mesh } from '@atelier/mesh';
import { Encodings } from '@atelier/store';
import { PromptsConfig } from './prompts.config';
import { PromptsController } from './prompts.controller';
import { PromptsMetrics } from './prompts.metrics';
import { PromptsService } from './prompts.service';
import { CaptionEncoder } from './caption-encoder';

@Module({})
export class PromptsModule {
  static with(config: PromptsConfig): DynamicModule {
    return {
      module: PromptsModule,
      controllers: [PromptsController],
      providers: [
        { provide: PromptsConfig, useValue: config },
        { provide: Encodings, useFactory: (mesh: Mesh) => new Encodings(mesh, 'prompts'), inject: [Mesh] },
        PromptsService,
        PromptsMetrics,
        CaptionEncoder,
      ],
    };
  }
}
