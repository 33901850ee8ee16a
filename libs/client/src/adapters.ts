import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { AdapterChange, newestFirst, toDate, type AdapterInfo } from '@atelier/contracts';
import { tellAdapter } from '@atelier/jobs';
import { describeAdapter } from './adapter-header';
import type { Connection } from './connection';
import { checkName } from './names';

export async function listAdapters({ adapters }: Connection): Promise<AdapterInfo[]> {
  return newestFirst(await adapters.list());
}

export async function findAdapter({ adapters }: Connection, name: string): Promise<AdapterInfo> {
  return (await adapters.find(name)).value;
}

/** The adapter's file in diffusers' format, chunk by chunk. */
export async function adapterFile({ adapters }: Connection, name: string): Promise<Readable> {
  return adapters.stream(await adapters.find(name));
}

/**
 * Takes in a LoRA made elsewhere (diffusers or kohya keys). A name that is taken is refused unless `replace` says
 * otherwise. Throws StoreFull.
 * @param options since: of a request that is made once more, its first try; what that one brought in is no hindrance
 */
export async function importAdapter(
  connection: Connection,
  name: string,
  bytes: Uint8Array,
  { replace, since }: { replace?: boolean; since?: Date } = {},
): Promise<AdapterInfo> {
  const { adapters, mesh } = connection;
  checkName('adapter name', name);
  const facts = { name, ...describeAdapter(name, bytes) };
  await mesh.room.require(bytes.byteLength, 'new work');
  const made = since && (await broughtIn(connection, name, bytes, since));
  if (made) return made;
  const info = await adapters.put(facts, bytes, { replace });
  await tellAdapter(mesh, { name, change: AdapterChange.ADAPTER_CHANGE_IMPORTED });
  return info;
}

/** What is there already, if it is these bytes and has come since then. */
async function broughtIn(
  connection: Connection,
  name: string,
  bytes: Uint8Array,
  since: Date,
): Promise<AdapterInfo | undefined> {
  const info = (await connection.adapters.list()).find((each) => each.name === name);
  if (!info || info.size !== bytes.byteLength || (toDate(info.createdAt)?.getTime() ?? 0) < since.getTime())
    return undefined;
  const there = await buffer(await adapterFile(connection, name));
  return there.equals(bytes) ? info : undefined;
}
