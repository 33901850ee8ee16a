import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AtelierClient } from '@atelier/client';
import { Adapter } from '@atelier/engine';
import { saveStream, saveWith } from './save';

export const ADAPTER_FORMATS = ['diffusers', 'kohya'] as const;
export type AdapterFormat = (typeof ADAPTER_FORMATS)[number];

export async function downloadAdapter(client: AtelierClient, name: string, file: string, format: AdapterFormat): Promise<void> {
  const data = await client.adapterFile(name);
  if (format === 'diffusers') return saveStream(data, file);
  const folder = await mkdtemp(join(tmpdir(), 'atelier-adapter-'));
  try {
    const source = join(folder, 'diffusers.safetensors');
    await saveStream(data, source);
    await convertToKohya(source, file);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Writes a LoRA of any known spelling with the keys that kohya's scripts and ComfyUI read. */
export async function convertToKohya(source: string, file: string): Promise<void> {
  const adapter = await Adapter.load(source);
  try {
    await saveWith(file, (part) => adapter.saveKohya(part));
  } finally {
    await adapter.dispose();
  }
}
