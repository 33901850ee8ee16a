import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { AtelierClient } from '@atelier/client';
import { WebhookState, type Webhook } from '@atelier/contracts';
import { Webhooks } from '@atelier/jobs';
import { Mesh, removeEventConsumer, takeEvents } from '@atelier/mesh';
import { Deliveries } from './deliveries';

/** How often it is looked for webhooks that others have made. */
const LOOK_MS = 3000;
const AGAIN_MS = 1000;
/** Deliveries of one webhook that one gateway has in hand. */
const AT_ONCE = 8;

/** Takes the events of every webhook's consumer; other gateways take of the same. */
@Injectable()
export class Deliverer implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger('webhooks');
  private readonly closing = new AbortController();
  private readonly followed = new Map<string, Promise<void>>();
  private readonly webhooks: Webhooks;
  private looking?: Promise<void>;

  constructor(
    private readonly mesh: Mesh,
    client: AtelierClient,
    private readonly deliveries: Deliveries,
  ) {
    this.webhooks = new Webhooks(client.mesh);
  }

  onApplicationBootstrap(): void {
    this.looking = this.look();
  }

  /** What is in hand is ended: a try takes 15 s at most. */
  async onModuleDestroy(): Promise<void> {
    this.closing.abort();
    await this.looking;
    await Promise.all(this.followed.values());
  }

  private async look(): Promise<void> {
    const { signal } = this.closing;
    let cleared = false;
    while (!signal.aborted) {
      try {
        for (const webhook of await this.webhooks.list()) if (isActive(webhook)) this.start(webhook.id);
        if (!cleared) await this.webhooks.clearConsumers();
        cleared = true;
      } catch (error) {
        this.logger.debug(`webhooks could not be looked for: ${(error as Error).message}`);
      }
      await sleep(LOOK_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  private start(id: string): void {
    if (this.followed.has(id)) return;
    this.followed.set(
      id,
      this.follow(id).finally(() => this.followed.delete(id)),
    );
  }

  private async isStillActive(id: string): Promise<boolean> {
    const webhook = await this.webhooks.find(id);
    return webhook !== undefined && isActive(webhook);
  }

  /** Until it is deleted or disabled; while NATS is away it is tried again and again. */
  private async follow(id: string): Promise<void> {
    const { signal } = this.closing;
    while (!signal.aborted) {
      try {
        const webhook = await this.webhooks.find(id);
        if (!webhook || !isActive(webhook)) return;
        await this.webhooks.ensureConsumer(webhook);
        // Deleted or disabled meanwhile, it has been given a consumer that nobody takes away any more.
        if (!(await this.isStillActive(id))) {
          await removeEventConsumer(this.mesh, id);
          return;
        }
        const failed = (error: Error): void =>
          this.logger.warn(`webhook ${id}: an event is tried again: ${error.message}`);
        const taking = { signal, atOnce: AT_ONCE, failed };
        await takeEvents(this.mesh, id, taking, (event) => this.deliveries.take(webhook, event));
      } catch (error) {
        this.logger.debug(`webhook ${id} is taken up again: ${(error as Error).message}`);
        await sleep(AGAIN_MS, undefined, { signal }).catch(() => undefined);
      }
    }
  }
}

const isActive = ({ state }: Webhook): boolean => state === WebhookState.WEBHOOK_STATE_ACTIVE;
