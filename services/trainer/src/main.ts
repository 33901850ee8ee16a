import { bootstrapService } from '@atelier/mesh';
import { TrainerConfig } from './trainer.config';
import { TrainerModule } from './trainer.module';

void bootstrapService(() => TrainerModule.with(new TrainerConfig(process.env)), 'trainer');
