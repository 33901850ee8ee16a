import { Injectable } from '@nestjs/common';
import { Counter, Histogram, Registry } from '@atelier/mesh';

/** What the inference service measures, served at /metrics. */
@Injectable()
export class InferenceMetrics {
  readonly pictureSeconds: Histogram;
  readonly samplers: Counter<'result'>;
  readonly yields: Counter;

  constructor(registry: Registry) {
    const registers = [registry];
    this.pictureSeconds = new Histogram({
      name: 'atelier_generate_picture_seconds',
      help: 'Time of one picture, from prompt embeds to file',
      buckets: [0.3, 1, 3, 10, 30, 100, 300, 1000],
      registers,
    });
    this.samplers = new Counter({
      name: 'atelier_generate_samplers_total',
      help: 'Samplers asked for, by whether one was at hand',
      labelNames: ['result'],
      registers,
    });
    this.yields = new Counter({
      name: 'atelier_generate_yields_total',
      help: 'Times the device was given up for someone more urgent',
      registers,
    });
  }
}
