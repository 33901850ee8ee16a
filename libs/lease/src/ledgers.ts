import { buckets } from '@atelier/contracts';
import type { Mesh } from '@atelier/mesh';
import type { Ledger } from './lease';

/** What is held of one device now. */
export interface DeviceLeases {
  /** As its ledger is named: `cpu`, `cuda_0`. */
  device: string;
  /** Bytes to lease, in all. */
  capacity: number;
  holders: { owner: string; bytes: number }[];
  /** How many wait for a share. */
  waiting: number;
}

/** Of every device of which anybody ever leased. */
export async function leasesOfAll(mesh: Mesh): Promise<DeviceLeases[]> {
  const kv = await mesh.js.views.kv(buckets.state.leases, { history: 1 });
  const devices: string[] = [];
  for await (const key of await kv.keys()) devices.push(key);
  const ledgers = await Promise.all(devices.sort().map((device) => kv.get(device)));
  return ledgers.flatMap((entry) => {
    if (!entry || entry.operation !== 'PUT') return [];
    const { capacity, grants } = entry.json<Ledger>();
    const standing = grants.filter(({ expiresAt }) => expiresAt > Date.now());
    const holders = standing.filter(({ bytes }) => bytes > 0).map(({ owner, bytes }) => ({ owner, bytes }));
    return [{ device: entry.key, capacity, holders, waiting: standing.length - holders.length }];
  });
}
