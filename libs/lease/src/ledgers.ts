import { buckets } from '@atelier/contracts';
import type { Mesh } from '@atelier/mesh';
import { keyOf, type Ledger } from './ledger';
import { sightingsOf } from './sightings';

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
    const standing = sightingsOf(mesh, entry.key).living(grants);
    const holders = standing.filter(({ bytes }) => bytes > 0).map(({ owner, bytes }) => ({ owner, bytes }));
    return [{ device: entry.key, capacity, holders, waiting: standing.length - holders.length }];
  });
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
  const key = keyOf(device);
  const entry = await kv.get(key);
  if (!entry || entry.operation !== 'PUT') return [];
  return sightingsOf(mesh, key).living(entry.json<Ledger>().grants);
}
