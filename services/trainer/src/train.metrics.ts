import { Injectable } from '@nestjs/common';
import { Counter, Gauge, Histogram, Registry } from '@atelier/mesh';

/** What the trainer measures, served at /metrics. */
@Injectable()
export class TrainMetrics {
  readonly stepSeconds: Histogram;
  readonly loss: Gauge;
  readonly steps: Counter;
  readonly waitSeconds: Counter;
  readonly computeSeconds: Counter;
  readonly skipped: Counter;
  readonly planBytes: Gauge;

  constructor(registry: Registry) {
    const registers = [registry];
    this.stepSeconds = new Histogram({
      name: 'atelier_train_step_seconds',
      help: 'Time of an optimizer step, waiting for samples included',
      buckets: [0.1, 0.3, 1, 3, 10, 30, 100, 300],
      registers,
    });
    this.loss = new Gauge({ name: 'atelier_train_loss', help: 'Mean loss of the last optimizer step', registers });
    this.steps = new Counter({ name: 'atelier_train_steps_total', help: 'Optimizer steps taken', registers });
    this.waitSeconds = new Counter({
      name: 'atelier_train_sample_wait_seconds_total',
      help: 'Time in which training stood still for want of a sample',
      registers,
    });
    this.computeSeconds = new Counter({
      name: 'atelier_train_compute_seconds_total',
      help: 'Time of optimizer steps in which the engine computed, waiting for samples left out',
      registers,
    });
    this.skipped = new Counter({
      name: 'atelier_train_samples_skipped_total',
      help: 'Samples left out because they could not be encoded',
      registers,
    });
    this.planBytes = new Gauge({
      name: 'atelier_train_plan_bytes',
      help: 'Memory planned for the run in hand',
      registers,
    });
  }
}
