import { isConflict } from '@atelier/mesh';
import type { KV } from 'nats';

/** One holder's share of a device's memory; of who waits for one, none. */
export interface Grant {
  token: number;
  owner: string;
  bytes: number;
  priority: number;
  /** Raised by its owner, which shows that it lives. */
  renewals: number;
  /** How long it may stay unrenewed. */
  ttlMs: number;
}

/** What KV `leases` holds for a device. `token` only ever grows: a later lease can be told from an earlier one by it. */
export interface Ledger {
  capacity: number;
  token: number;
  grants: Grant[];
}

/** Under which a device's ledger stands. */
export const keyOf = (device: string): string => device.replaceAll(/[^A-Za-z0-9_-]/g, '_');

/** Takes a share, or a place among those who wait, out of it. */
export async function drop(kv: KV, key: string, capacity: number, token: number): Promise<void> {
  await change(kv, key, capacity, (ledger) => {
    ledger.grants = ledger.grants.filter((grant) => grant.token !== token);
  });
}

/** Compare-and-set on the device's ledger, again when someone else wrote first. */
export async function change<R>(kv: KV, key: string, capacity: number, edit: (ledger: Ledger) => R): Promise<R> {
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
