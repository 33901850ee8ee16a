import { AtelierError, buckets } from '@atelier/contracts';
import { throughOutage, type Mesh } from '@atelier/mesh';
import type { KV } from 'nats';
import { setTimeout as sleep } from 'node:timers/promises';
import { change, drop, keyOf, type Grant, type Ledger } from './ledger';
import { sightingsOf, type Sightings } from './sightings';

export interface LeaseRequest {
  /** "cpu", "cuda:0" — with the node's name in front where there are several nodes. */
  device: string;
  /** What the device has; the first to lease sets it, later ones may change it. */
  capacity: number;
  bytes: number;
  owner: string;
  /** Higher goes first among those that wait. Default 0. */
  priority?: number;
  /** A holder that dies frees its share after this long. Renewed by itself at a third of it. Default 15 s. */
  ttlMs?: number;
  signal?: AbortSignal;
}

export interface Lease {
  /** Fencing token: larger than that of every lease given before. */
  readonly token: number;
  readonly bytes: number;
  /** Raised when the lease was lost (it expired while this process could not renew it). */
  readonly lost: AbortSignal;
  /** Raised when someone more urgent waits for the device: whoever can, lets go at the next good moment. */
  readonly wanted: AbortSignal;
  release(): Promise<void>;
}

const POLL_MS = 200;
/** What is not given back expires soon after. */
const RELEASE_PATIENCE_MS = 5000;

/**
 * Waits until the device has `bytes` free, and for a mesh that is away, then holds them until release. Refused at once
 * when the device could never hold them.
 */
export async function acquireLease(mesh: Mesh, request: LeaseRequest): Promise<Lease> {
  const { device, owner, signal } = request;
  try {
    return await throughOutage(() => acquire(mesh, request), { signal });
  } catch (error) {
    if (!signal?.aborted) throw error;
    throw new AtelierError('CANCELLED', `${owner} gave up waiting for ${device}`, {}, { cause: error });
  }
}

async function acquire(mesh: Mesh, request: LeaseRequest): Promise<Lease> {
  const { device, capacity, bytes, owner, priority = 0, ttlMs = 15_000, signal } = request;
  if (bytes > capacity) {
    throw new AtelierError(
      'RESOURCE_EXHAUSTED',
      `${owner} needs ${bytes} bytes of ${device}, which has ${capacity} in all: use a smaller size, rank or text length, or a larger budget`,
    );
  }
  const kv = await mesh.js.views.kv(buckets.state.leases, { history: 1 });
  const key = keyOf(device);
  const seen = sightingsOf(mesh, key);
  let waiting: number | undefined;
  let renewedAt = -Infinity;
  try {
    for (;;) {
      signal?.throwIfAborted();
      const got = await change(kv, key, capacity, (ledger) => {
        const living = seen.living(ledger.grants);
        ledger.grants = ledger.grants.filter((grant) => living.includes(grant) || grant.token === waiting);
        const mine = ledger.grants.find((grant) => grant.token === waiting) ?? {
          token: ++ledger.token,
          owner,
          bytes: 0,
          priority,
          renewals: 0,
          ttlMs,
        };
        if (!ledger.grants.includes(mine)) ledger.grants.push(mine);
        // Not at every look: a ledger that says the same is not written again.
        const now = performance.now();
        if (now - renewedAt > ttlMs / 3) {
          mine.renewals++;
          renewedAt = now;
        }
        const used = ledger.grants.reduce((sum, grant) => sum + grant.bytes, 0);
        // Those who wait stand in the ledger with no bytes; the most urgent, then the oldest, is served first.
        const ahead = ledger.grants.some(
          (grant) =>
            grant.bytes === 0 &&
            grant !== mine &&
            (grant.priority > priority || (grant.priority === priority && grant.token < mine.token)),
        );
        if (!ahead && used + bytes <= capacity) {
          mine.bytes = Math.max(1, bytes);
          mine.renewals++;
        }
        return mine;
      });
      waiting = got.token;
      if (got.bytes > 0) return new HeldLease(kv, key, capacity, got, seen);
      await sleep(POLL_MS, undefined, { signal }).catch(() => undefined);
    }
  } catch (error) {
    if (waiting !== undefined) await drop(kv, key, capacity, waiting).catch(() => undefined);
    throw error;
  }
}

class HeldLease implements Lease {
  readonly token: number;
  readonly bytes: number;
  private readonly losing = new AbortController();
  private readonly wanting = new AbortController();
  private readonly over = new AbortController();
  private readonly timer: NodeJS.Timeout;

  constructor(
    private readonly kv: KV,
    private readonly key: string,
    private readonly capacity: number,
    private readonly grant: Grant,
    private readonly seen: Sightings,
  ) {
    this.token = grant.token;
    this.bytes = grant.bytes;
    this.timer = setInterval(() => void this.renew(), grant.ttlMs / 3);
    this.timer.unref();
    // Should the watch break, the next renewal looks instead.
    void this.watch().catch(() => undefined);
  }

  get lost(): AbortSignal {
    return this.losing.signal;
  }

  get wanted(): AbortSignal {
    return this.wanting.signal;
  }

  private async watch(): Promise<void> {
    const entries = await this.kv.watch({ key: this.key });
    this.over.signal.addEventListener('abort', () => entries.stop(), { once: true });
    if (this.over.signal.aborted) entries.stop();
    for await (const entry of entries) if (entry.operation === 'PUT') this.look(entry.json<Ledger>());
  }

  private look({ grants }: Ledger): void {
    const waits = (grant: Grant): boolean => grant.bytes === 0 && grant.priority > this.grant.priority;
    if (this.seen.living(grants).some(waits)) this.wanting.abort();
  }

  private async renew(): Promise<void> {
    try {
      const held = await change(this.kv, this.key, this.capacity, (ledger) => {
        const mine = ledger.grants.find((grant) => grant.token === this.token);
        if (mine) mine.renewals++;
        this.look(ledger);
        return mine;
      });
      if (!held) this.lose();
    } catch {
      // The mesh is away; the next renewal tells whether the lease outlived it.
    }
  }

  private lose(): void {
    clearInterval(this.timer);
    this.over.abort();
    this.losing.abort();
  }

  async release(): Promise<void> {
    clearInterval(this.timer);
    this.over.abort();
    await throughOutage(() => drop(this.kv, this.key, this.capacity, this.token), { patienceMs: RELEASE_PATIENCE_MS });
  }
}
