import { AtelierError, buckets } from '@atelier/contracts';
import { isConflict, throughOutage, type Mesh } from '@atelier/mesh';
import type { KV } from 'nats';
import { setTimeout as sleep } from 'node:timers/promises';

/** One holder's share of a device's memory. */
interface Grant {
  token: number;
  owner: string;
  bytes: number;
  priority: number;
  expiresAt: number; // ms since the epoch
}

/** What KV `leases` holds for a device. `token` only ever grows: a later lease can be told from an earlier one by it. */
export interface Ledger {
  capacity: number;
  token: number;
  grants: Grant[];
}

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
  const key = device.replaceAll(/[^A-Za-z0-9_-]/g, '_');
  let waiting: number | undefined;
  try {
    for (;;) {
      signal?.throwIfAborted();
      const got = await change(kv, key, capacity, (ledger) => {
        const now = Date.now();
        ledger.grants = ledger.grants.filter((grant) => grant.expiresAt > now || grant.token === waiting);
        const mine = ledger.grants.find((grant) => grant.token === waiting) ?? {
          token: ++ledger.token,
          owner,
          bytes: 0,
          priority,
          expiresAt: 0,
        };
        if (!ledger.grants.includes(mine)) ledger.grants.push(mine);
        // Not at every look: a ledger that says the same is not written again.
        if (mine.expiresAt - now < ttlMs / 2) mine.expiresAt = now + ttlMs;
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
          mine.expiresAt = now + ttlMs;
        }
        return mine;
      });
      waiting = got.token;
      if (got.bytes > 0) return new HeldLease(kv, key, capacity, got, ttlMs);
      await sleep(POLL_MS, undefined, { signal }).catch(() => undefined);
    }
  } catch (error) {
    if (waiting !== undefined) await drop(kv, key, capacity, waiting).catch(() => undefined);
    throw error;
  }
}

/** What is held of a device now, for people: owner and bytes. */
export async function leasesOf(mesh: Mesh, device: string): Promise<{ owner: string; bytes: number; token: number }[]> {
  return (await standing(mesh, device))
    .filter((grant) => grant.bytes > 0)
    .map(({ owner, bytes, token }) => ({ owner, bytes, token }));
}

/** Who waits for a device now. */
export async function waitersOf(mesh: Mesh, device: string): Promise<{ owner: string; token: number }[]> {
  return (await standing(mesh, device))
    .filter((grant) => grant.bytes === 0)
    .map(({ owner, token }) => ({ owner, token }));
}

async function standing(mesh: Mesh, device: string): Promise<Ledger['grants']> {
  const kv = await mesh.js.views.kv(buckets.state.leases, { history: 1 });
  const entry = await kv.get(device.replaceAll(/[^A-Za-z0-9_-]/g, '_'));
  if (!entry || entry.operation !== 'PUT') return [];
  return entry.json<Ledger>().grants.filter((grant) => grant.expiresAt > Date.now());
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
    private readonly ttlMs: number,
  ) {
    this.token = grant.token;
    this.bytes = grant.bytes;
    this.timer = setInterval(() => void this.renew(), ttlMs / 3);
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
    const now = Date.now();
    if (grants.some((grant) => grant.bytes === 0 && grant.priority > this.grant.priority && grant.expiresAt > now))
      this.wanting.abort();
  }

  private async renew(): Promise<void> {
    try {
      const held = await change(this.kv, this.key, this.capacity, (ledger) => {
        const mine = ledger.grants.find((grant) => grant.token === this.token);
        if (mine) mine.expiresAt = Date.now() + this.ttlMs;
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

async function drop(kv: KV, key: string, capacity: number, token: number): Promise<void> {
  await change(kv, key, capacity, (ledger) => {
    ledger.grants = ledger.grants.filter((grant) => grant.token !== token);
  });
}

/** Compare-and-set on the device's ledger, again when someone else wrote first. */
async function change<R>(kv: KV, key: string, capacity: number, edit: (ledger: Ledger) => R): Promise<R> {
  for (;;) {
    const entry = await kv.get(key);
    const there = entry && entry.operation === 'PUT';
    const ledger: Ledger = there ? entry.json<Ledger>() : { capacity, token: 0, grants: [] };
    const before = JSON.stringify(ledger);
    ledger.capacity = capacity;
    const result = edit(ledger);
    const after = JSON.stringify(ledger);
    if (there && after === before) return result;
    const bytes = new TextEncoder().encode(after);
    try {
      if (there) await kv.update(key, bytes, entry.revision);
      else await kv.create(key, bytes);
      return result;
    } catch (error) {
      if (!isConflict(error)) throw error;
    }
  }
}
