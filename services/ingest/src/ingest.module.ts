import { Module, type DynamicModule } from '@nestjs/common';
import { Datasets, EncodedRuns, Runs } from '@atelier/jobs';
import { Mesh } from '@atelier/mesh';
import { BlobStore, TensorStore } from '@atelier/store';
import { EncoderWatch } from './encoder-watch';
import { EncoderWork } from './encoder-work';
import { IngestConfig } from './ingest.config';
import { IngestController } from './ingest.controller';
import { IngestService } from './ingest.service';
import { Manifests } from './manifests';
import { ModelIdentity } from './model-identity';
import { PreparedDatasets } from './prepared-datasets';
import { RunStart } from './run-start';
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
        { provide: Datasets, useFactory: (mesh: Mesh) => new Datasets(mesh), inject: [Mesh] },
        { provide: Runs, useFactory: (mesh: Mesh) => new Runs(mesh), inject: [Mesh] },
        {
          provide: EncodedRuns,
          useFactory: (mesh: Mesh, runs: Runs) => new EncodedRuns(mesh, runs),
          inject: [Mesh, Runs],
        },
        IngestService,
        RunStart,
        EncoderWatch,
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
