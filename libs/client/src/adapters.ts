import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import {
  AdapterChange,
  AtelierError,
  calls,
  newestFirst,
  toDate,
  TransformerSizes,
  type AdapterInfo,
} from '@atelier/contracts';
import { describeAdapter, EngineError, missingAddon, type AdapterDescription } from '@atelier/engine';
import { tellAdapter } from '@atelier/jobs';
import { callService, type Mesh } from '@atelier/mesh';
import type { Connection } from './connection';
import { checkAdapterName } from './names';
import { withPeftConfig } from './peft-config';

export interface AdapterImport {
  /** Let it take the place of one of the same name. */
  replace?: boolean;
  /** The text of peft's adapter_config.json, where one lay beside the file: it decides the adapter's strength. */
  config?: string;
  /** Of a request that is made once more: its first try. What that one brought in is no hindrance. */
  since?: Date;
}

export async function listAdapters({ adapters }: Connection): Promise<AdapterInfo[]> {
  return newestFirst(await adapters.list());
}

export async function findAdapter({ adapters }: Connection, name: string): Promise<AdapterInfo> {
  return (await adapters.find(name)).value;
}

/** The adapter's file as it came, or as it was trained, chunk by chunk. */
export async function adapterFile({ adapters }: Connection, name: string): Promise<Readable> {
  return adapters.stream(await adapters.find(name));
}

/**
 * Takes in a LoRA made elsewhere, in any spelling that the engine reads: what the engine would refuse later is refused
 * here. A name that is taken is refused unless `replace` says otherwise. Throws StoreFull.
 */
export async function importAdapter(
  connection: Connection,
  name: string,
  bytes: Uint8Array,
  { replace, config, since }: AdapterImport = {},
): Promise<AdapterInfo> {
  const { adapters, mesh } = connection;
  checkAdapterName(name);
  const file = config === undefined ? bytes : withPeftConfig(bytes, config);
  const facts = { name, ...(await judged(name, file, await transformerSizes(mesh))) };
  await mesh.room.require(file.byteLength, 'new work');
  const made = since && (await broughtIn(connection, name, file, since));
  if (made) return made;
  const info = await adapters.put(facts, file, { replace });
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

const LABEL = 'its file';
const ASK_MS = 1500;

/** Of the checkpoint that pictures are drawn with; null where inference is not there to say. */
async function transformerSizes(mesh: Mesh): Promise<TransformerSizes | null> {
  try {
    const { transformer } = await callService(mesh, calls.status('inference'), {}, { timeoutMs: ASK_MS });
    return transformer ? TransformerSizes.create(transformer) : null;
  } catch {
    return null;
  }
}

/** What the file holds, by the engine, which is the only one who knows what it can read. */
async function judged(name: string, bytes: Uint8Array, sizes: TransformerSizes | null): Promise<AdapterDescription> {
  const missing = missingAddon();
  if (missing) {
    const remedy = 'build the native library where adapters are brought in';
    const reason = `there is no engine here to judge adapter ${name} with (${missing.message}): ${remedy}`;
    throw new AtelierError('UNIMPLEMENTED', reason, {}, { cause: missing });
  }
  try {
    return await describeAdapter(bytes, LABEL, sizes);
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    const reason = error.message.replace(new RegExp(`^(${LABEL}|adapter): `), '');
    throw new AtelierError('INVALID_ARGUMENT', `adapter file ${name} cannot be used: ${reason}`, {}, { cause: error });
  }
}
