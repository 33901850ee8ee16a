import { Gauge, type Registry } from 'prom-client';
import { VERSION } from './version';

const NAME = 'atelier_build_info';

/**
 * Says at /metrics what runs here, as labels of a figure that is always 1.
 * @param engine what of CUDA is in the engine, of a service that computes
 */
export function tellBuild(registry: Registry, engine = 'none'): void {
  const known = registry.getSingleMetric(NAME);
  const gauge =
    known instanceof Gauge
      ? known
      : new Gauge({
          name: NAME,
          help: 'What runs here; always 1.',
          labelNames: ['version', 'engine', 'node'],
          registers: [registry],
        });
  gauge.reset();
  gauge.set({ version: VERSION, engine, node: process.version }, 1);
}
