import { buffer } from 'node:stream/consumers';
import type { AtelierClient } from '@atelier/client';
import { Adapter, type AdapterFormat } from '@atelier/engine';
import { saveStream, saveWith } from './save';

export async function downloadAdapter(
  client: AtelierClient,
  name: string,
  file: string,
  format: AdapterFormat,
): Promise<void> {
  const data = await client.adapterFile(name);
  if (format === 'diffusers') return saveStream(data, file);
  await saveKohya(await Adapter.fromBytes(await buffer(data), `adapter ${name}`), file);
}

/** Writes a LoRA of any known spelling with the keys that kohya's scripts and ComfyUI read. */
export async function convertToKohya(source: string, file: string): Promise<void> {
  await saveKohya(await Adapter.load(source), file);
}

async function saveKohya(adapter: Adapter, file: string): Promise<void> {
  try {
    await saveWith(file, (part) => adapter.save(part, 'kohya'));
  } finally {
    await adapter.dispose();
  }
}
