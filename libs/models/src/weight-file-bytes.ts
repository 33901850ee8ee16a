import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Checkpoint, ComponentName } from '@atelier/checkpoint';

/** Bytes of a component's weights on disk, all shards together: what a lease has to be measured by before anything is loaded. */
export async function weightFileBytes(checkpoint: Checkpoint, component: ComponentName): Promise<number> {
  const folder = checkpoint.component(component);
  const files = (await readdir(folder)).filter((name) => name.endsWith('.safetensors'));
  const sizes = await Promise.all(files.map(async (name) => (await stat(join(folder, name))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}
