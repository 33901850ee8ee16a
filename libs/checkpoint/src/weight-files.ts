// Which files of a component's folder are its weights. The engine says it once more (native/src/formats/weight_source.cpp), as it opens
// folders for whoever has no library; native/test/goldens/weight_files.json holds both to the same answers.
import { basename, join } from 'node:path';
import { CheckpointError } from './errors';
import { readJsonObject } from './json-file';
import { isFile, requireFile } from './required-file';

/**
 * diffusers and transformers read a variant only where it is asked for by name. Nobody asks here: what is there counts, the plain files
 * first, then the more precise ones.
 */
const VARIANTS = ['', '.fp32', '.bf16', '.fp16'];

/** The one to take first at the front: of one file and an index of shards diffusers takes the shards, transformers the file. */
const NAMES = VARIANTS.flatMap((variant) => [
  `diffusion_pytorch_model.safetensors.index${variant}.json`,
  `diffusion_pytorch_model.safetensors${variant}.index.json`, // of earlier diffusers
  `diffusion_pytorch_model${variant}.safetensors`,
  `model${variant}.safetensors`,
  `model.safetensors.index${variant}.json`,
]);

/** Paths of the weights: one file, or an index and its shards. Throws where there are none, or not all. */
export async function weightFiles(dir: string): Promise<string[]> {
  for (const name of NAMES) {
    const path = join(dir, name);
    if (await isFile(path)) return name.endsWith('.json') ? shardsOf(path) : [path];
  }
  throw new CheckpointError(
    'NOT_FOUND',
    `${dir}: holds neither diffusion_pytorch_model.safetensors nor model.safetensors, as a file, as shards with their index or as a variant (${VARIANTS.filter(Boolean).join(', ')}); .bin weights are not read, use the safetensors files`,
  );
}

async function shardsOf(index: string): Promise<string[]> {
  const { weight_map: map } = await readJsonObject(index, 'the list of weight files');
  if (typeof map !== 'object' || map === null || !Object.values(map).every(isNeighbour)) {
    throw new CheckpointError(
      'DATA_LOSS',
      `${index}: weight_map does not map tensors to safetensors files beside it; download the file again`,
    );
  }
  const shards = [...new Set(Object.values(map as Record<string, string>))]
    .sort()
    .map((file) => join(index, '..', file));
  if (shards.length === 0)
    throw new CheckpointError('DATA_LOSS', `${index}: weight_map is empty; download the file again`);
  for (const shard of shards) await requireFile(shard, `weights that ${basename(index)} names`);
  return [index, ...shards];
}

function isNeighbour(file: unknown): boolean {
  return typeof file === 'string' && basename(file) === file && file.endsWith('.safetensors');
}
