import { encodedKindFields, eventSubjects, type TensorKind } from '@atelier/contracts';
import { publishEvent, throughOutage, type Mesh } from '@atelier/mesh';
import { TensorStore } from './tensors';

/** A tensor set to be made: its content key, and for people the name of what it is made from. */
export interface EncodeJob {
  readonly key: string;
  readonly name: string;
  readonly datasetId: string;
}

/**
 * The encoders' side of the tensor store: a set is made once, ever, and everyone is told. TensorArrivals is the side of those who wait.
 */
export class Encodings {
  private readonly tensors: TensorStore;
  /** What was made at such a cost waits for its store, be that away or full, rather than being made again. */
  private readonly kept: TensorStore;
  /** By key, the last that was asked for it and is not done. */
  private readonly underWay = new Map<string, Promise<unknown>>();

  constructor(
    private readonly mesh: Mesh,
    private readonly kind: TensorKind,
  ) {
    this.tensors = new TensorStore(mesh);
    this.kept = new TensorStore(mesh, throughOutage);
  }

  /**
   * Makes and keeps the set, unless it is there already: asked for twice at once, the second waits for the first. Either way
   * a `ready` event says that it is there (with 0 seconds where nothing was made): the service may have been killed after it stored
   * the set and before it said so.
   */
  async once(job: EncodeJob, make: () => Promise<Uint8Array>): Promise<'encoded' | 'cached'> {
    const before = this.underWay.get(job.key);
    const after = (async () => {
      await before?.catch(() => undefined); // it failed: this one tries itself
      return this.ensure(job, make);
    })();
    this.underWay.set(job.key, after);
    try {
      return await after;
    } finally {
      if (this.underWay.get(job.key) === after) this.underWay.delete(job.key);
    }
  }

  private async ensure(
    { key, name, datasetId }: EncodeJob,
    make: () => Promise<Uint8Array>,
  ): Promise<'encoded' | 'cached'> {
    const cached = await this.tensors.has(this.kind, key);
    const started = Date.now();
    if (!cached) await this.kept.put(this.kind, key, await make());
    const seconds = cached ? 0 : (Date.now() - started) / 1000;
    await publishEvent(this.mesh, eventSubjects.encoder(this.kind, key, 'ready', datasetId), {
      encodeReady: { key, ...encodedKindFields(this.kind), name, seconds, datasetId },
    });
    return cached ? 'cached' : 'encoded';
  }

  /** Says that the set will not come, and why. */
  async refuse({ key, name, datasetId }: EncodeJob, reason: string): Promise<void> {
    await publishEvent(this.mesh, eventSubjects.encoder(this.kind, key, 'failed', datasetId), {
      encodeFailed: { key, ...encodedKindFields(this.kind), name, datasetId, reason },
    });
  }
}
