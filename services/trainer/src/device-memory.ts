import { Injectable } from '@nestjs/common';
import { acquireLease, type Lease } from '@atelier/lease';
import { Mesh } from '@atelier/mesh';
import { leasePriorities } from '@atelier/models';
import { TrainerConfig } from './trainer.config';

/** The device's memory, as the trainer leases it. */
@Injectable()
export class DeviceMemory {
  constructor(
    private readonly mesh: Mesh,
    private readonly config: TrainerConfig,
  ) {}

  /** Bytes the device has in all. */
  get capacity(): number {
    return this.config.deviceBytes;
  }

  /** Waits until the device has room. Throws RESOURCE_EXHAUSTED, with the numbers, for what it could never hold. */
  lease(bytes: number, owner: string, signal: AbortSignal): Promise<Lease> {
    const { device, deviceBytes } = this.config;
    const priority = leasePriorities.training;
    return acquireLease(this.mesh, { device, capacity: deviceBytes, bytes, owner, priority, signal });
  }
}
