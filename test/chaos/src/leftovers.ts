import { backing, buckets, streams } from '@atelier/contracts';
import type { Atelier } from '../../support/atelier';
import type { Work } from './work';

/** Entries that outlive what they tell of: who sweeps, and how a lease or a name was last held, are not of any one thing. */
const KEPT = new Set<string>([buckets.state.sweeps, buckets.state.leases]);

/** Deletes all there is and sweeps. @returns what is still there, in words */
export async function leftovers(atelier: Atelier, work: Work): Promise<string[]> {
  await atelier.idle();
  for (const kind of ['finetunes', 'adapters', 'images/generations', 'datasets']) {
    // Of drawings a list has the newest alone.
    for (let listed = 1; listed > 0;) {
      const { data } = await atelier.api.json<{ data: { id: string; name?: string }[] }>(`/v1/${kind}`);
      for (const { id, name } of data) await work.remove(`/v1/${kind}/${kind === 'adapters' ? name : id}`);
      listed = data.length;
    }
  }
  await atelier.client.sweep({ graceMs: 0, promptsKeptMs: 0 });
  return [...(await files(atelier)), ...(await entries(atelier)), ...(await dead(atelier))];
}

async function files({ client }: Atelier): Promise<string[]> {
  const kept = new Set(['states', 'events', 'queued work', 'dead letters']);
  return (await client.storeUsage())
    .filter(({ kind, count }) => count > 0 && !kept.has(kind))
    .map(({ kind, count, bytes }) => `after the sweep ${count} ${kind} are left, ${bytes} bytes`);
}

async function entries({ client }: Atelier): Promise<string[]> {
  const found: string[] = [];
  for (const bucket of Object.values(buckets.state)) {
    if (KEPT.has(bucket)) continue;
    const kv = await client.mesh.js.views.kv(bucket, { bindOnly: true, streamName: backing.stateStream(bucket) });
    const keys: string[] = [];
    for await (const key of await kv.keys()) keys.push(key);
    if (keys.length > 0)
      found.push(`after the sweep ${bucket} has ${keys.length} entries: ${keys.slice(0, 3).join(', ')}`);
  }
  return found;
}

async function dead({ client }: Atelier): Promise<string[]> {
  const { messages } = (await client.mesh.jsm.streams.info(streams.DEAD)).state;
  return messages > 0 ? [`${messages} dead letters`] : [];
}
