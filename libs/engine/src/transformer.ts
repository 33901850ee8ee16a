import type { Adapter } from './adapter';
import type { TransformerDims, LinearModule, LoadedTransformer, MemoryPlan, Shape, TransformerHandle } from './addon';
import { type Call, run } from './call';
import { Loaded } from './loaded';
import { Sampler } from './sampler';
import { nativeOptions, type PartialTrainOptions, Trainer } from './trainer';

/** An adapter in a sampler. Weight 1 is as trained; negative weights push away. */
export interface AdapterUse {
  adapter: Adapter;
  weight: number;
}

/** A diffusion transformer with frozen weights: loaded once, shared by its trainers and samplers, which keep it in memory. */
export class Transformer extends Loaded<TransformerHandle> {
  readonly dims: TransformerDims;
  /** Every linear, in the model's order. */
  readonly modules: readonly LinearModule[];
  readonly weightBytes: number;

  /** @internal use Engine.loadTransformer */
  constructor({ transformer, dims, modules, weightBytes }: LoadedTransformer) {
    super(transformer);
    this.dims = dims;
    this.modules = modules;
    this.weightBytes = weightBytes;
  }

  /** The memory that createTrainer with the same arguments will take, byte for byte, without taking it. */
  planTraining(options: PartialTrainOptions, shapes: readonly Shape[], call?: Call): Promise<MemoryPlan> {
    return run(call, async (native, callOptions) =>
      native.planTraining(this.handle, nativeOptions(options), [...shapes], callOptions),
    );
  }

  /** @param shapes every picture shape the data set has; the arena serves the largest */
  async createTrainer(options: PartialTrainOptions, shapes: readonly Shape[], call?: Call): Promise<Trainer> {
    const { trainer, memoryPlan } = await run(call, async (native, callOptions) =>
      native.createTrainer(this.handle, nativeOptions(options), [...shapes], callOptions),
    );
    return new Trainer(trainer, memoryPlan);
  }

  /**
   * @param fused merge the adapters into this sampler's own copy of the touched linears, quantised again; otherwise they are added beside
   *   the base weights, and a sampler with other adapters is made at once
   */
  async createSampler(
    adapters: readonly AdapterUse[] = [],
    { fused = false }: { fused?: boolean } = {},
    call?: Call,
  ): Promise<Sampler> {
    const uses = adapters.map(({ adapter, weight }) => ({ adapter: adapter.handle, weight }));
    return new Sampler(await run(call, (native, options) => native.createSampler(this.handle, uses, fused, options)));
  }
}
