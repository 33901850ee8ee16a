import { bootstrapService } from '@atelier/mesh';
import { LatentsConfig } from './latents.config';
import { LatentsModule } from './latents.module';

void bootstrapService(() => LatentsModule.with(new LatentsConfig(process.env)), 'latents');
