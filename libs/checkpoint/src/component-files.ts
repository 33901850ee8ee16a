// Which files make up a component: its config, and its weights as one file or as shards named by an index.
import { stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { CheckpointError } from './errors';
import { missing, readJsonObject } from './json-file';
import { COMPONENTS, type ComponentName } from './layout';

/** Paths of every file the component needs, config first; throws for the first one that is not there. */
export async function componentFiles(checkpoint: string, name: ComponentName): Promise<string[]> {
  const dir = join(checkpoint, name);
  const layout = COMPONENTS[name];
  const config = join(dir, layout.config);
  await requireFile(config, `the settings of ${name}`);
  if (layout.weights) return [config, ...(await weightFiles(dir, layout.weights))];
  if (layout.files) return [config, ...(await firstComplete(dir, name, layout.files))];
  return [config];
}

async function weightFiles(dir: string, stem: string): Promise<string[]> {
  const single = join(dir, `${stem}.safetensors`);
  if (await isFile(single)) return [single];
  const index = join(dir, `${stem}.safetensors.index.json`);
  if (!(await isFile(index))) {
    throw new CheckpointError(
      'NOT_FOUND',
      `${dir}: holds neither ${basename(single)} nor ${basename(index)}; .bin weights are not read, use the safetensors files`,
    );
  }
  const { weight_map: map } = await readJsonObject(index, 'the list of weight files');
  if (
    typeof map !== 'object' ||
    map === null ||
    Object.values(map).some((file) => typeof file !== 'string' || basename(file) !== file)
  ) {
    throw new CheckpointError(
      'DATA_LOSS',
      `${index}: weight_map does not map tensors to files beside it; download the file again`,
    );
  }
  const shards = [...new Set(Object.values(map as Record<string, string>))].sort().map((file) => join(dir, file));
  if (shards.length === 0)
    throw new CheckpointError('DATA_LOSS', `${index}: weight_map is empty; download the file again`);
  for (const shard of shards) await requireFile(shard, `weights that ${basename(index)} names`);
  return [index, ...shards];
}

async function firstComplete(
  dir: string,
  name: string,
  alternatives: readonly (readonly string[])[],
): Promise<string[]> {
  for (const files of alternatives) {
    const paths = files.map((file) => join(dir, file));
    if ((await Promise.all(paths.map(isFile))).every(Boolean)) return paths;
  }
  const wanted = alternatives.map((files) => files.join(' + ')).join(', or ');
  throw new CheckpointError('NOT_FOUND', `${dir}: ${name} needs ${wanted}; download the folder again`);
}

async function requireFile(file: string, purpose: string): Promise<void> {
  const found = await stat(file).catch((error: unknown) => {
    throw missing(file, purpose, error);
  });
  if (!found.isFile()) throw new CheckpointError('NOT_FOUND', `${file}: is not a file; it should hold ${purpose}`);
}

async function isFile(file: string): Promise<boolean> {
  return stat(file).then(
    (found) => found.isFile(),
    () => false,
  );
}
