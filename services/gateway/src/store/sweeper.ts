import { Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { AtelierClient } from '@atelier/client';
import { GatewayConfig } from '../gateway.config';

/** How often is looked whether it is due: of many gateways one does it. */
const LOOK_MS = 60_000;

/** Clears the store in the background, so that nobody has to think of it. */
@Injectable()
export class Sweeper implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger(Sweeper.name);
  private timer?: NodeJS.Timeout;
  private sweeping = false;
  private sweptAt = -Infinity;

  constructor(
    private readonly client: AtelierClient,
    private readonly config: GatewayConfig,
  ) {}

  onApplicationBootstrap(): void {
    const { sweepMs } = this.config;
    if (sweepMs === 0) return;
    this.timer = setInterval(() => void this.sweep(sweepMs), Math.min(sweepMs, LOOK_MS)).unref();
  }

  onModuleDestroy(): void {
    clearInterval(this.timer);
  }

  /** One that fails, as while NATS is away, is tried again at the next look. */
  private async sweep(sweepMs: number): Promise<void> {
    // A store that is too full to note its last sweep is not swept at every look for that.
    if (this.sweeping || performance.now() - this.sweptAt < sweepMs) return;
    this.sweeping = true;
    try {
      const cleared = await this.client.sweepInTurn(this.config.sweepRules, sweepMs);
      if (cleared) this.sweptAt = performance.now();
      if (cleared && cleared.length > 0)
        this.logger.log(
          `cleared ${cleared.map(({ kind, count, bytes }) => `${count} ${kind} (${bytes} bytes)`).join(', ')}`,
        );
    } catch (error) {
      this.logger.warn(`the store could not be swept: ${(error as Error).message}`);
    } finally {
      this.sweeping = false;
    }
  }
}
