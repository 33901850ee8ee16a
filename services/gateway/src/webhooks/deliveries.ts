import { Injectable, Logger } from '@nestjs/common';
import { AtelierClient } from '@atelier/client';
import { Delivery, DeliveryState, timestamp, type Webhook } from '@atelier/contracts';
import { toldEvent, typeOfTold, wantsType, Webhooks, type StreamedEvent } from '@atelier/jobs';
import { eventAt, type EventSettlement, type TakenEvent } from '@atelier/mesh';
import { Tokens } from '../access/tokens';
import { GatewayConfig } from '../gateway.config';
import { cloudEvent, pingEvent, type CloudEvent } from './cloud-event';
import { post } from './post';
import { nextTry } from './retry';
import { signed } from './signing';

const GONE = 410;

/** One event to one webhook: whether it wants it, the try, and what comes of it. */
@Injectable()
export class Deliveries {
  private readonly logger = new Logger('webhooks');
  private readonly webhooks: Webhooks;

  constructor(
    private readonly client: AtelierClient,
    private readonly config: GatewayConfig,
    private readonly tokens: Tokens,
  ) {
    this.webhooks = new Webhooks(client.mesh);
  }

  async take(webhook: Webhook, taken: TakenEvent): Promise<EventSettlement> {
    const event = await this.wanted(webhook, taken);
    if (!event) return undefined;
    const { status, error } = await this.send(webhook, event.message);
    const delivered = status >= 200 && status < 300;
    const { retryMs: firstMs } = this.config.webhooks;
    const ageMs = Date.now() - taken.toldAt.getTime();
    const againMs = delivered || status === GONE ? undefined : nextTry({ tries: taken.tries, ageMs, firstMs });
    await this.noted(
      Delivery.create({
        webhookId: webhook.id,
        sequence: event.sequence,
        messageId: event.message.id,
        type: event.message.type,
        subject: event.message.subject,
        state: stateOf(delivered, againMs),
        tries: taken.tries,
        status,
        error,
        triedAt: timestamp(),
        nextTryAt: againMs === undefined ? undefined : timestamp(new Date(Date.now() + againMs)),
      }),
    );
    if (status === GONE) await this.disable(webhook);
    return againMs === undefined ? undefined : { againMs };
  }

  /** What was sent is settled all the same: in a full store it would be sent again and again. */
  private async noted(delivery: Delivery): Promise<void> {
    await this.webhooks
      .note(delivery)
      .catch((error: Error) => this.logger.warn(`a delivery to ${delivery.webhookId} is not noted: ${error.message}`));
  }

  private async disable({ id, url }: Webhook): Promise<void> {
    this.logger.warn(`webhook ${id} is disabled: ${new URL(url).host} answered 410`);
    await this.webhooks.disable(id, 'its receiver answered 410 (gone): delete it, and add it again if it is back');
  }

  /** What is to be sent; nothing for what the webhook did not ask for, or what is not kept any more. */
  private async wanted(
    webhook: Webhook,
    taken: TakenEvent,
  ): Promise<{ sequence: number; message: CloudEvent } | undefined> {
    const address = this.config.publicUrls[0] ?? '';
    const { webhookAsked } = taken.event;
    let streamed: StreamedEvent | undefined = taken;
    if (webhookAsked) {
      if (webhookAsked.webhookId !== webhook.id) return undefined;
      const { sequence = 0 } = webhookAsked;
      streamed = sequence ? await eventAt(this.client.mesh, sequence) : taken;
      if (!streamed) return undefined;
      if (streamed.event.webhookAsked)
        return { sequence: streamed.sequence, message: pingEvent(streamed, webhook.id, address) };
    }
    const told = toldEvent(streamed);
    if (!told || (!webhookAsked && !wantsType(webhook.types, typeOfTold(told)))) return undefined;
    return { sequence: streamed.sequence, message: await cloudEvent(this.client, streamed, told, address) };
  }

  private async send({ url, secret, owner }: Webhook, message: CloudEvent): Promise<{ status: number; error: string }> {
    if (owner && !(await this.tokens.mayRead(owner)))
      return { status: 0, error: `token ${owner}, which made it, was withdrawn or may not read any more: delete it` };
    const body = JSON.stringify(message);
    const headers = {
      'content-type': 'application/cloudevents+json; charset=utf-8',
      'user-agent': 'atelier-webhooks/1',
      ...signed(secret, message.id, new Date(), body),
    };
    try {
      const status = await post(url, headers, body, this.config.webhooks);
      const redirects = status >= 300 && status < 400;
      return { status, error: redirects ? 'it redirects, which is not followed: add the address it points to' : '' };
    } catch (error) {
      return { status: 0, error: (error as Error).message };
    }
  }
}

function stateOf(delivered: boolean, againMs: number | undefined): DeliveryState {
  if (delivered) return DeliveryState.DELIVERY_STATE_DELIVERED;
  return againMs === undefined ? DeliveryState.DELIVERY_STATE_DEAD : DeliveryState.DELIVERY_STATE_PENDING;
}
