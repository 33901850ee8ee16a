import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, dirname, extname, join } from 'node:path';
import { AtelierError } from '@atelier/contracts';

const CONFIG = 'adapter_config.json';
const PEFT_FILE = /^adapter_model\.safetensors$/;

export interface AdapterSource {
  /** What it may be named after. */
  label: string;
  content: Uint8Array;
  /** The text of the adapter_config.json beside it, which peft keeps the strength in. */
  config?: string;
}

/** An adapter's file, or the folder that peft or a trainer saved one into. */
export async function readPeftAdapter(path: string): Promise<AdapterSource> {
  const isFolder = (await stat(path)).isDirectory();
  const file = isFolder ? await adapterIn(path) : path;
  const folder = dirname(file);
  const beside = await readdir(folder);
  const alone = beside.filter(isWeights).length === 1;
  // Among other adapters' files, the settings are those of the file that peft names.
  const isOurs = PEFT_FILE.test(basename(file)) || alone;
  const content = await readFile(file);
  const label = isFolder || PEFT_FILE.test(basename(file)) ? basename(folder) : basename(file, extname(file));
  if (!isOurs || !beside.includes(CONFIG)) return { label, content };
  return { label, content, config: await readFile(join(folder, CONFIG), 'utf8') };
}

const isWeights = (name: string): boolean => name.endsWith('.safetensors');

async function adapterIn(folder: string): Promise<string> {
  const files = (await readdir(folder)).filter(isWeights);
  const chosen = files.find((name) => PEFT_FILE.test(name)) ?? (files.length === 1 ? files[0] : undefined);
  if (chosen !== undefined) return join(folder, chosen);
  const there = files.length === 0 ? 'no .safetensors file' : `${files.length} .safetensors files`;
  throw new AtelierError(
    'INVALID_ARGUMENT',
    `${folder} holds ${there} where one adapter is needed: give the file itself`,
  );
}
