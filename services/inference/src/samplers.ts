import { Injectable } from '@nestjs/common';
import type { Adapter, Sampler } from '@atelier/engine';
import { LeasedModels, type Models } from '@atelier/models';
import { AdapterLibrary, type AdapterVersion } from './adapter-library';
import { InferenceConfig } from './inference.config';
import { InferenceMetrics } from './inference.metrics';
import { LeastRecent } from './least-recent';

/** Samplers for the combinations of adapters asked for last: a repeated request loads and merges nothing. They go when the models go. */
@Injectable()
export class Samplers {
  private readonly kept: LeastRecent<KeptSampler>;

  constructor(
    private readonly config: InferenceConfig,
    private readonly library: AdapterLibrary,
    private readonly metrics: InferenceMetrics,
    models: LeasedModels,
  ) {
    this.kept = new LeastRecent(config.samplers);
    models.onRelease(() => this.kept.clear());
  }

  /** Valid while the models are in use, and until the next one is asked for. */
  async get(models: Models, adapters: readonly AdapterVersion[], fused: boolean): Promise<Sampler> {
    const transformer = await models.transformer(this.config.quant);
    const key = JSON.stringify([fused, adapters.map(({ key: version, weight }) => [version, weight])]);
    const { value, made } = await this.kept.get(key, async () => {
      const loaded: Adapter[] = [];
      try {
        for (const version of adapters) loaded.push(await this.library.load(version, transformer));
        const sampler = await transformer.createSampler(
          loaded.map((adapter, i) => ({ adapter, weight: adapters[i]!.weight })),
          { fused },
        );
        return new KeptSampler(sampler, loaded);
      } catch (error) {
        await Promise.allSettled(loaded.map((adapter) => adapter.dispose()));
        throw error;
      }
    });
    this.metrics.samplers.inc({ result: made ? 'made' : 'reused' });
    return value.sampler;
  }
}

class KeptSampler {
  constructor(
    readonly sampler: Sampler,
    private readonly adapters: readonly Adapter[],
  ) {}

  async dispose(): Promise<void> {
    await this.sampler.dispose();
    await Promise.all(this.adapters.map((adapter) => adapter.dispose()));
  }
}
