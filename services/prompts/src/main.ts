import { bootstrapService } from '@atelier/mesh';
import { PromptsConfig } from './prompts.config';
import { PromptsModule } from './prompts.module';

void bootstrapService(() => PromptsModule.with(new PromptsConfig(process.env)), 'prompts');
