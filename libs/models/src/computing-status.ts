import { Gauge, LOGGER, Registry, ServiceStatus, tellBuild, type Logger } from '@atelier/mesh';
import type { ComputeConfig } from './compute-config';
import { opened, type Computing } from './computing';

/** Tells in a service's status on what it computes: from its start on, and anew whenever a device was opened. */
export class ComputingStatus {
  /** For a service's module. */
  static of({ computing, device, deviceBytes }: ComputeConfig) {
    return {
      provide: ComputingStatus,
      useFactory: (status: ServiceStatus, logger: Logger, registry: Registry) => {
        tellBuild(registry, computing.engine);
        tellMemory(registry, device, deviceBytes);
        return new ComputingStatus(computing, status, logger);
      },
      inject: [ServiceStatus, LOGGER, Registry],
    };
  }

  constructor(
    private readonly expected: Computing,
    private readonly status: ServiceStatus,
    private readonly logger: Logger,
  ) {
    this.tell(expected);
  }

  /**
   * @param description the engine's, of the device that is open now
   * @param note what a person should know of it
   */
  opened(description: string, note = ''): void {
    const computing = opened(this.expected, description);
    this.tell(note ? { ...computing, note } : computing);
  }

  private tell(computing: Computing): void {
    this.status.computing = computing;
    this.logger.info(computing, computing.note || 'computes'); // no warning: "up" says it once for all services
  }
}

/** Of the memory's name, as the ledgers of leases have it. */
function tellMemory(registry: Registry, device: string, bytes: number): void {
  new Gauge({
    name: 'atelier_device_memory_bytes',
    help: 'How much memory the device has to share out, as the engine says it; not how much is in use.',
    labelNames: ['device'],
    registers: [registry],
  }).set({ device: device.replaceAll(/[^A-Za-z0-9_-]/g, '_') }, bytes);
}
