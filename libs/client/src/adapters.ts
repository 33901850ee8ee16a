import type { Readable } from 'node:stream';
import { AdapterInfo, AtelierError, buckets } from '@atelier/contracts';
import { describeAdapter } from './adapter-header';
import type { Connection } from './connection';
import { checkName, isName } from './names';
import { newestFirst, timestamp } from './times';

export async function listAdapters({ adapters }: Connection): Promise<AdapterInfo[]> {
  return newestFirst(await adapters.list());
}

export async function findAdapter({ adapters }: Connection, name: string): Promise<AdapterInfo> {
  const found = isName(name) ? await adapters.get(name) : null;
  if (!found) throw new AtelierError('NOT_FOUND', `there is no adapter ${JSON.stringify(name.slice(0, 80))}: list them to see what there is`);
  return found.value;
}

/** The adapter's file in diffusers' format, chunk by chunk. */
export async function adapterFile(connection: Connection, name: string): Promise<Readable> {
  const { blob } = await findAdapter(connection, name);
  return connection.blobs.stream(buckets.blobs.adapters, blob);
}

/**
 * Takes in a LoRA made elsewhere (diffusers or kohya keys). A name that is taken is refused unless `replace` says
 * otherwise. Throws StoreFull.
 */
export async function importAdapter(
  connection: Connection,
  name: string,
  bytes: Uint8Array,
  { replace = false }: { replace?: boolean } = {},
): Promise<AdapterInfo> {
  checkName('adapter name', name);
  const { rank, alpha } = describeAdapter(name, bytes);
  const existing = await connection.adapters.get(name);
  if (existing && !replace) {
    throw new AtelierError('ALREADY_EXISTS', `there is already an adapter named ${name}: choose another name, or ask to replace it`);
  }
  await connection.mesh.room.require(bytes.byteLength, 'new work');
  const blob = `${name}.safetensors`;
  const info = AdapterInfo.create({ name, blob, size: bytes.byteLength, rank, alpha, createdAt: timestamp() });
  await connection.blobs.put(buckets.blobs.adapters, blob, bytes);
  if (existing) await connection.adapters.update(name, () => info);
  else await connection.adapters.create(name, info);
  return info;
}
