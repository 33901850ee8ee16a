// Adapters as bytes. The addon reads and writes files only: this is the one place that goes round by a temporary one.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AdapterFormatName } from '@atelier/contracts';
import { Adapter } from './adapter';
import type { Call } from './call';
import { EngineError } from './errors';

/** Key names of an adapter's file: of diffusers and PEFT, or of kohya's scripts and ComfyUI. */
export type AdapterFormat = AdapterFormatName;

/**
 * Reads a file's bytes, with diffusers', peft's or kohya's keys.
 * @param label names the bytes in errors
 */
export function adapterFromBytes(bytes: Uint8Array, label = 'the adapter file', call?: Call): Promise<Adapter> {
  return withTemporaryFile(async (file) => {
    await writeFile(file, bytes);
    try {
      return await Adapter.load(file, call);
    } catch (error) {
      throw error instanceof EngineError
        ? new EngineError(error.code, error.message.replaceAll(file, label), { cause: error })
        : error;
    }
  });
}

/**
 * The bytes of a file of that format.
 * @param metadata is written into it beside the adapter's own
 */
export async function adapterToBytes(
  adapter: Adapter,
  format: AdapterFormat,
  metadata: Record<string, string> = {},
  call?: Call,
): Promise<Uint8Array> {
  if (Object.keys(metadata).length === 0) return writtenBytes(adapter, format, call);
  const described = Adapter.create(adapter.modules, { ...adapter.metadata, ...metadata });
  try {
    return await writtenBytes(described, format, call);
  } finally {
    await described.dispose();
  }
}

function writtenBytes(adapter: Adapter, format: AdapterFormat, call?: Call): Promise<Uint8Array> {
  return withTemporaryFile(async (file) => {
    await (format === 'kohya' ? adapter.saveKohya(file, call) : adapter.saveDiffusers(file, call));
    return readFile(file);
  });
}

async function withTemporaryFile<T>(use: (file: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'atelier-adapter-'));
  try {
    return await use(join(folder, 'adapter.safetensors'));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
