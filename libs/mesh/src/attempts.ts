import { AttemptCount, buckets } from '@atelier/contracts';
import type { JsMsg, KV } from 'nats';
import type { Logger } from './logging';
import type { Mesh } from './mesh';
import { isConflict } from './nats-errors';
import { throughOutage } from './outage';
import { consumerName } from './consumer-name';

/**
 * How long one question to the bucket may take, and how long it is asked again while the mesh is away: a service that
 * stops waits for it.
 */
const ANSWER_MS = 3000;
const PATIENCE_MS = 5000;

/**
 * Counts the attempts at a message whose work got no further: those are what gives it up, not its deliveries, of which
 * a service that is stopped, or a nats-server that is started again, costs one as well. A message that ends at its
 * first delivery is never written down; one that comes again without a word from whoever had it first was, as far as
 * anybody knows, what that one died over.
 */
export class Attempts {
  private opened?: Promise<KV>;

  /** @param most attempts in a row that may come to nothing */
  constructor(
    private readonly mesh: Mesh,
    private readonly most: number,
    readonly logger?: Logger,
  ) {}

  /** Counts this delivery before anything is done about it: should its service die now, nobody else could. */
  async begin(message: JsMsg): Promise<Attempt> {
    const key = keyOf(message);
    if (message.info.deliveryCount === 1) return new Attempt(this, key, 1, this.most, false);
    let before = 0;
    await this.change(key, (count = 1) => Math.min((before = count) + 1, this.most));
    return new Attempt(this, key, before + 1, this.most, true);
  }

  /** Notes of a message that was taken and not begun that this delivery is no attempt. */
  async spare(message: JsMsg): Promise<void> {
    await this.change(keyOf(message), (count) => count ?? 0);
  }

  /** Compare-and-set: several services may have had the message. */
  async change(key: string, mutate: (count: number | undefined) => number): Promise<void> {
    const kv = await this.kv();
    for (;;) {
      const entry = await kv.get(key);
      const count = entry?.operation === 'PUT' ? AttemptCount.decode(entry.value).attempts : undefined;
      const next = mutate(count);
      if (next === count) return;
      const bytes = AttemptCount.encode({ attempts: next }).finish();
      try {
        await (entry ? kv.update(key, bytes, entry.revision) : kv.create(key, bytes));
        return;
      } catch (error) {
        if (!isConflict(error)) throw error;
      }
    }
  }

  async forget(key: string): Promise<void> {
    await (await this.kv()).delete(key);
  }

  private kv(): Promise<KV> {
    this.opened ??= this.mesh.nc.jetstream({ timeout: ANSWER_MS }).views.kv(buckets.state.attempts);
    this.opened.catch(() => (this.opened = undefined));
    return this.opened;
  }
}

/** One attempt at a message. */
export class Attempt {
  /** Whether those before were as many as there may be: then nothing is tried any more. */
  readonly exhausted: boolean;
  private standing: Standing;
  private writing: Promise<void> = Promise.resolve();

  /**
   * @param number of attempts since the work last got further, this one among them
   * @param written whether there is a note of the message, which has to go with it
   */
  constructor(
    private readonly attempts: Attempts,
    private readonly key: string,
    readonly number: number,
    most: number,
    private written: boolean,
  ) {
    this.exhausted = number > most;
    this.standing = { count: Math.min(number, most), counts: !this.exhausted };
  }

  /**
   * The work got further, and what is kept need not be done again: what came to nothing before counts no more, nor does
   * this attempt.
   */
  async progress(): Promise<void> {
    if (this.standing.count === 0 || this.exhausted) return this.writing;
    return this.note('that the work got further', { count: 0, counts: false }, () => 0);
  }

  /** Whatever comes of this attempt is not the work's fault: its service is asked to stop, or the mesh was away. */
  async excuse(): Promise<void> {
    if (!this.standing.counts) return this.writing;
    return this.note('that an attempt does not count', { count: this.standing.count - 1, counts: false }, (count = 1) =>
      Math.max(0, count - 1),
    );
  }

  /** The message has left the queue. What cannot be removed goes by itself after a while. */
  async forget(): Promise<void> {
    await this.writing;
    if (this.written) await this.attempts.forget(this.key).catch(() => undefined);
  }

  /**
   * One note after the other. One that cannot be written leaves the count too high, which is no reason to stop the
   * work; the next may be.
   */
  private note(what: string, standing: Standing, mutate: (count: number | undefined) => number): Promise<void> {
    const before = this.standing;
    this.standing = standing;
    this.written = true;
    this.writing = this.writing
      .then(() => throughOutage(() => this.attempts.change(this.key, mutate), { patienceMs: PATIENCE_MS }))
      .catch((error: Error) => {
        this.standing = before;
        this.attempts.logger?.warn({ key: this.key, error: error.message }, `could not note ${what}`);
      });
    return this.writing;
  }
}

interface Standing {
  /** Attempts that came to nothing, as far as is known: this one among them while it counts. */
  count: number;
  /** Whether this attempt counts towards giving the message up, should nothing more be heard of it. */
  counts: boolean;
}

const keyOf = (message: JsMsg): string => `${consumerName(message.subject)}.${message.seq}`;
