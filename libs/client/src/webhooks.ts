import { AtelierError, newestFirst, type Delivery, type Webhook } from '@atelier/contracts';
import { WEBHOOK_TYPES } from '@atelier/jobs';
import type { Connection } from './connection';
import { isKey, newId, type Repeatable } from './names';

export interface WebhookRequest {
  url: string;
  /** "run.finished", "drawing.*"; none: all. */
  types?: string[];
}

/** For whom it is asked. */
export interface WebhookOwner {
  /** Whose what is made is; '': nobody's. */
  name: string;
  /** Whether others' are seen too. */
  seesAll: boolean;
}

const NOBODY: WebhookOwner = { name: '', seesAll: true };

const LONGEST_URL = 2000;

/** Where events are sent, and what became of them. */
export class WebhookRequests {
  constructor(
    private readonly connection: Connection,
    private readonly owner: WebhookOwner = NOBODY,
  ) {}

  /** The same for somebody, to whom what they may not see is not there. */
  of(owner: WebhookOwner): WebhookRequests {
    return new WebhookRequests(this.connection, owner);
  }

  /** The secret that deliveries are signed with is in what it resolves with. Events from now on are delivered. */
  async create({ url, types = [] }: WebhookRequest, once?: Repeatable): Promise<Webhook> {
    const asked = { id: once?.id ?? newId('webhook'), url: checkedUrl(url), types: types.map(checkedType) };
    const made = once && (await this.connection.webhooks.find(once.id));
    return made ?? this.connection.webhooks.create({ ...asked, owner: this.owner.name });
  }

  async list(): Promise<Webhook[]> {
    return newestFirst((await this.connection.webhooks.list()).filter((webhook) => this.sees(webhook)));
  }

  /** Throws NOT_FOUND. */
  async get(id: string): Promise<Webhook> {
    const found = isKey(id) ? await this.connection.webhooks.find(id) : undefined;
    if (found && this.sees(found)) return found;
    throw notThere(id);
  }

  /** @returns its id; undefined: there is none */
  async delete(id: string): Promise<string | undefined> {
    if (!isKey(id)) return undefined;
    const { webhooks } = this.connection;
    const owner = await webhooks.ownerOf(id);
    const mayGo = this.owner.seesAll || owner === undefined || owner === this.owner.name;
    return mayGo && (await webhooks.remove(id)) ? id : undefined; // its consumer goes where the entry has gone before
  }

  /** Sends a ping, as any event is sent. */
  async test(id: string): Promise<void> {
    await this.connection.webhooks.ask((await this.get(id)).id, 0);
  }

  /** What became of the events of the last 14 days, the newest first. */
  async deliveries(id: string): Promise<Delivery[]> {
    return this.connection.webhooks.deliveries((await this.get(id)).id);
  }

  /** Sends an event once more, under its former id. */
  async replay(id: string, sequence: number): Promise<Delivery> {
    const { webhooks } = this.connection;
    const delivery = await webhooks.delivery((await this.get(id)).id, sequence);
    if (!delivery) throw new AtelierError('NOT_FOUND', `webhook ${id} has no delivery ${sequence}: list them`);
    await webhooks.ask(id, sequence);
    return delivery;
  }

  private sees({ owner }: Webhook): boolean {
    return this.owner.seesAll || owner === this.owner.name;
  }
}

const notThere = (id: string): AtelierError =>
  new AtelierError('NOT_FOUND', `there is no webhook ${JSON.stringify(id.slice(0, 80))}: list them`);

function checkedUrl(url: string): string {
  const parsed = URL.canParse(url) && url.length <= LONGEST_URL ? new URL(url) : undefined;
  if (parsed && /^https?:$/.test(parsed.protocol) && !parsed.username && !parsed.password) return parsed.href;
  throw new AtelierError(
    'INVALID_ARGUMENT',
    `${JSON.stringify(url.slice(0, 100))} cannot be a webhook's address: use http:// or https:// without a password, ` +
      `at most ${LONGEST_URL} characters`,
  );
}

function checkedType(type: string): string {
  const kinds = [...new Set(WEBHOOK_TYPES.map((known) => `${known.split('.')[0]}.*`))];
  if ([...WEBHOOK_TYPES, ...kinds].includes(type)) return type;
  const known = [...kinds, ...WEBHOOK_TYPES].join(', ');
  throw new AtelierError('INVALID_ARGUMENT', `${JSON.stringify(type.slice(0, 80))} is no type of event: use ${known}`);
}
