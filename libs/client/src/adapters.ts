import type { Readable } from 'node:stream';
import { newestFirst, type AdapterInfo } from '@atelier/contracts';
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
 */
export async function importAdapter(
  { adapters, mesh }: Connection,
  name: string,
  bytes: Uint8Array,
  options: { replace?: boolean } = {},
): Promise<AdapterInfo> {
  checkName('adapter name', name);
  const facts = { name, ...describeAdapter(name, bytes) };
  await mesh.room.require(bytes.byteLength, 'new work');
  return adapters.put(facts, bytes, options);
}
