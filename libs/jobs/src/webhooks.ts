import { randomBytes } from 'node:crypto';
import { AtelierError, buckets, Delivery, eventSubjects, timestamp, Webhook, WebhookState } from '@atelier/contracts';
import {
  ensureEventConsumer,
  eventConsumers,
  lastEventSequence,
  publishEvent,
  removeEventConsumer,
  type Mesh,
} from '@atelier/mesh';
import { isJunk, StateStore } from '@atelier/store';
import type { ToldEvent } from './told-event';

/** What a webhook may want: where things have come to. Steps and the like are for event streams. */
export const WEBHOOK_TYPES = [
  'run.status',
  'run.finished',
  'run.failed',
  'run.cancelled',
  'dataset.ingested',
  'dataset.failed',
  'dataset.cancelled',
  'drawing.status',
  'drawing.finished',
  'drawing.failed',
  'drawing.cancelled',
  'adapter.made',
  'adapter.imported',
  'adapter.renamed',
  'adapter.deleted',
  'work.given_up',
] as const;

export const typeOfTold = ({ kind, type }: Pick<ToldEvent, 'kind' | 'type'>): string => `${kind}.${type}`;

/** @param types as they were registered: "run.finished", "drawing.*"; none: all */
export function wantsType(types: readonly string[], type: string): boolean {
  if (!WEBHOOK_TYPES.some((known) => known === type)) return false;
  return types.length === 0 || types.includes(type) || types.includes(`${type.split('.')[0]}.*`);
}

const SECRET_BYTES = 32;
const MOST_WEBHOOKS = 32;
/** Of one token, so that no token takes the place of all others. */
const MOST_OF_ONE = 16;
const ID_PREFIX = 'webhook-';

export type NewWebhook = Pick<Webhook, 'id' | 'url' | 'types' | 'owner'>;

/**
 * Webhooks in KV, each with a durable consumer of stream EVENTS, which all gateways share. The entry names where the
 * consumer begins and is there first: whoever finds it without one makes it, so that no event from then on is missed.
 */
export class Webhooks {
  private readonly store: StateStore<Webhook>;
  private readonly tries: StateStore<Delivery>;

  constructor(private readonly mesh: Mesh) {
    this.store = new StateStore(mesh, buckets.state.webhooks, Webhook);
    this.tries = new StateStore(mesh, buckets.state.deliveries, Delivery);
  }

  list(): Promise<Webhook[]> {
    return this.store.list();
  }

  async find(id: string): Promise<Webhook | undefined> {
    return (await this.store.get(id))?.value;
  }

  /** Undefined: it is not there; '': it is nobody's, as one that cannot be read is. */
  async ownerOf(id: string): Promise<string | undefined> {
    try {
      return (await this.find(id))?.owner;
    } catch (error) {
      if (isJunk(error)) return '';
      throw error;
    }
  }

  /** Throws RESOURCE_EXHAUSTED, StoreFull. */
  async create(asked: NewWebhook): Promise<Webhook> {
    await this.requireRoom(asked.owner);
    const last = await lastEventSequence(this.mesh);
    const webhook = Webhook.create({
      ...asked,
      secret: `whsec_${randomBytes(SECRET_BYTES).toString('base64')}`,
      createdAt: timestamp(),
      state: WebhookState.WEBHOOK_STATE_ACTIVE,
      startSequence: last + 1,
    });
    await this.store.create(webhook.id, webhook);
    await this.ensureConsumer(webhook);
    return webhook;
  }

  private async requireRoom(owner: string): Promise<void> {
    const refuse = (most: string): never => {
      throw new AtelierError('RESOURCE_EXHAUSTED', `there are ${most} already: delete one first`);
    };
    if ((await this.store.keys()).length >= MOST_WEBHOOKS) refuse(`${MOST_WEBHOOKS} webhooks`);
    const own = (await this.store.list()).filter((webhook) => webhook.owner === owner);
    if (owner && own.length >= MOST_OF_ONE) refuse(`${MOST_OF_ONE} webhooks of token ${owner}`);
  }

  ensureConsumer({ id, startSequence }: Webhook): Promise<void> {
    return ensureEventConsumer(this.mesh, id, startSequence);
  }

  /** Consumers of webhooks whose deletion was cut off. The entry is there first, so that one without is nobody's. */
  async clearConsumers(): Promise<void> {
    for (const name of await eventConsumers(this.mesh, ID_PREFIX))
      if ((await this.ownerOf(name)) === undefined) await removeEventConsumer(this.mesh, name);
  }

  /** @returns what was there; null: nothing */
  async remove(id: string): Promise<Webhook | null> {
    if (!id.startsWith(ID_PREFIX)) return null; // other readers of events have consumers, too
    const gone = await this.store.take(id, () => undefined);
    await removeEventConsumer(this.mesh, id);
    return gone;
  }

  /** Its receiver is gone: nothing is delivered any more. */
  async disable(id: string, reason: string): Promise<void> {
    const state = WebhookState.WEBHOOK_STATE_DISABLED;
    await this.store
      .put(id, (now) => now && Webhook.create({ ...now, state, reason }))
      .catch((error: unknown) => {
        if (!(error instanceof AtelierError)) throw error; // it was deleted
      });
    await removeEventConsumer(this.mesh, id);
  }

  /** @param sequence of the event to deliver once more; 0: a ping */
  async ask(webhookId: string, sequence: number): Promise<void> {
    const subject = eventSubjects.webhook(webhookId, sequence ? 'replay' : 'ping');
    await publishEvent(this.mesh, subject, { webhookAsked: { webhookId, sequence } });
  }

  /** What became of its deliveries, those of the newest events first. */
  async deliveries(id: string): Promise<Delivery[]> {
    return (await this.tries.list(id)).sort((a, b) => b.sequence - a.sequence);
  }

  async delivery(id: string, sequence: number): Promise<Delivery | undefined> {
    return (await this.tries.get(`${id}.${sequence}`))?.value;
  }

  async note(delivery: Delivery): Promise<void> {
    await this.tries.put(`${delivery.webhookId}.${delivery.sequence}`, () => delivery);
  }
}
