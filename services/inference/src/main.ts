import { bootstrapService } from '@atelier/mesh';
import { InferenceConfig } from './inference.config';
import { InferenceModule } from './inference.module';

void bootstrapService(() => InferenceModule.with(new InferenceConfig(process.env)), 'inference');
