import { Injectable } from '@nestjs/common';
import { Counter, Registry, ServiceStatus } from '@atelier/mesh';

type Result = 'encoded' | 'cached' | 'failed';

/** What became of the pictures asked for: served at /metrics, and told by the service's status. */
@Injectable()
export class LatentsMetrics {
  private readonly results: Counter<'result'>;
  private readonly counts: Record<Result, number> = { encoded: 0, cached: 0, failed: 0 };

  constructor(
    registry: Registry,
    private readonly status: ServiceStatus,
  ) {
    this.results = new Counter({
      name: 'atelier_latents_total',
      help: 'Pictures asked for, by what became of them',
      labelNames: ['result'],
      registers: [registry],
    });
    this.tell();
  }

  count(result: Result): void {
    this.counts[result] += 1;
    this.results.inc({ result });
    this.tell();
  }

  private tell(): void {
    const { encoded, cached, failed } = this.counts;
    this.status.detail = `${encoded} encoded, ${cached} there already, ${failed} failed`;
  }
}
