import { Module, type DynamicModule } from '@nestjs/common';
import { Mesh } from '@atelier/mesh';
import { BlobStore, TensorStore } from '@atelier/store';
import { DatasetStates } from './dataset-states';
import { EncoderWork } from './encoder-work';
import { IngestConfig } from './ingest.config';
import { IngestController } from './ingest.controller';
import { IngestService } from './ingest.service';
import { Manifests } from './manifests';
import { ModelIdentity } from './model-identity';
import { PreparedDatasets } from './prepared-datasets';
import { RunStates } from './run-states';
import { SampleBuilder } from './sample-builder';
import { SpoolCleaner } from './spool-cleaner';

@Module({})
export class IngestModule {
  static with(config: IngestConfig): DynamicModule {
    return {
      module: IngestModule,
      controllers: [IngestController],
      providers: [
        { provide: IngestConfig, useValue: config },
        { provide: BlobStore, useFactory: (mesh: Mesh) => new BlobStore(mesh), inject: [Mesh] },
        { provide: TensorStore, useFactory: (mesh: Mesh) => new TensorStore(mesh), inject: [Mesh] },
        IngestService,
        DatasetStates,
        RunStates,
        ModelIdentity,
        SampleBuilder,
        Manifests,
        EncoderWork,
        PreparedDatasets,
        SpoolCleaner,
      ],
    };
  }
}
