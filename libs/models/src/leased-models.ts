import type { Checkpoint, Fingerprints } from '@atelier/checkpoint';
import { BatchLease } from '@atelier/lease';
import type { Mesh } from '@atelier/mesh';
import type { ComputeConfig } from './compute-config';
import { ModelHost, type Models } from './model-host';

export interface Tenant {
  /** As the ledger names it. */
  owner: string;
  /** One of leasePriorities. */
  priority: number;
  /** Whether it leases what it takes. */
  leases: boolean;
  /** Called with the engine's description of a device that was opened, and what a person should know of it. */
  onOpened?: (device: string, note: string) => void;
  /** Called when models were let go because someone more urgent waited. */
  onYield?: () => void;
}

/**
 * Models and the lease they are held under, which goes with them: when they are idle, or at once after the work in hand
 * when someone more urgent waits. For one piece of work at a time.
 */
export class LeasedModels {
  private readonly host: ModelHost;
  private readonly lease?: BatchLease;

  constructor(
    mesh: Mesh,
    private readonly config: ComputeConfig,
    private readonly tenant: Tenant,
  ) {
    this.host = new ModelHost({
      ...config,
      onOpened: tenant.onOpened,
      onFreed: async () => this.lease?.release(),
    });
    if (!tenant.leases) return;
    const { device, deviceBytes: capacity } = config;
    const { owner, priority } = tenant;
    this.lease = new BatchLease(mesh, { device, capacity, owner, priority }, () => void this.makeWay());
  }

  /** What the device has in all. */
  get deviceBytes(): number {
    return this.config.deviceBytes;
  }

  checkpoint(): Promise<Checkpoint> {
    return this.host.checkpoint();
  }

  /** Of what is loaded. */
  fingerprints(): Promise<Fingerprints> {
    return this.host.fingerprints();
  }

  /** Called before the models are let go, by whoever keeps something that was made from them. */
  onRelease(listener: () => Promise<void>): void {
    this.host.onRelease(listener);
  }

  /**
   * Runs `work` with the bytes held that `need` asks for, in all; `need` loads what it has to ask, which takes no memory
   * of the device before the first use. Throws RESOURCE_EXHAUSTED, with the numbers, for what the device could never
   * hold; rejects at the signal while it waits.
   */
  async use<N extends { bytes: number }, T>(
    need: (models: Models) => Promise<N>,
    work: (needed: N, models: Models) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    try {
      for (;;) {
        const done = await this.host.use(async (models) => {
          const needed = await need(models);
          return (await this.cover(needed.bytes, signal)) ? { result: await work(needed, models) } : undefined;
        });
        if (done) return done.result;
        // Held and too little: two who both held and waited for more would wait for ever.
        await this.host.release();
      }
    } finally {
      await this.makeWay();
    }
  }

  async onApplicationShutdown(): Promise<void> {
    await this.host.release();
  }

  /** @returns false when less is held */
  private async cover(bytes: number, signal?: AbortSignal): Promise<boolean> {
    const { lease } = this;
    if (!lease || lease.covers(bytes)) return true;
    if (lease.covers(0)) return false;
    await lease.cover(bytes, signal);
    return true;
  }

  /** Lets models and lease go if someone more urgent waits and nobody uses them. */
  private async makeWay(): Promise<void> {
    if (!this.lease?.unwelcome) return;
    await this.host.release();
    if (!this.lease.covers(0)) this.tenant.onYield?.();
  }
}
