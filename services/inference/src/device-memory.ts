import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { BatchLease } from '@atelier/lease';
import { LOGGER, Mesh, throughOutage, type Logger } from '@atelier/mesh';
import { leasePriorities, ModelHost } from '@atelier/models';
import { InferenceConfig } from './inference.config';
import { InferenceMetrics } from './inference.metrics';

/** The models and the lease they are held under, which goes with them: when they are idle, or at once after a picture when someone more urgent waits. */
@Injectable()
export class DeviceMemory implements OnApplicationShutdown {
  readonly models: ModelHost;
  /** What the device has in all. */
  readonly bytes: number;
  private readonly lease: BatchLease;

  constructor(
    mesh: Mesh,
    { model, cacheDir, compute, threads, idleMs, device, deviceBytes }: InferenceConfig,
    private readonly metrics: InferenceMetrics,
    @Inject(LOGGER) logger: Logger,
  ) {
    this.models = new ModelHost({
      model,
      cacheDir,
      compute,
      threads,
      idleMs,
      onOpened: (computing) => logger.info({ computing }, 'device'),
      onFreed: () => this.lease.release(),
    });
    this.bytes = deviceBytes;
    this.lease = new BatchLease(
      mesh,
      { device, capacity: deviceBytes, owner: 'inference', priority: leasePriorities.drawing },
      () => void this.makeWay(),
    );
  }

  /**
   * Waits until `bytes` are held. Throws RESOURCE_EXHAUSTED, with the numbers, for what the device could never hold.
   * @returns false when less is held: the models have to be let go first, since two who both held and waited for more would wait for ever
   */
  async cover(bytes: number, signal: AbortSignal): Promise<boolean> {
    if (this.lease.covers(bytes)) return true;
    if (this.lease.covers(0)) return false;
    await throughOutage(() => this.lease.cover(bytes, signal), { signal });
    return true;
  }

  /** Lets models and lease go if someone more urgent waits and nobody uses them. */
  async makeWay(): Promise<void> {
    if (!this.lease.unwelcome) return;
    await this.models.release();
    if (!this.lease.covers(0)) this.metrics.yields.inc();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.models.release();
  }
}
