import { bootstrapService } from '@atelier/mesh';
import { IngestConfig } from './ingest.config';
import { IngestModule } from './ingest.module';

void bootstrapService(() => IngestModule.with(new IngestConfig(process.env)), 'ingest');
