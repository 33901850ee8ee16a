// Which files make up a component: its config, and its weights or its tokenizer's files.
import { join } from 'node:path';
import { CheckpointError } from './errors';
import { isFile, requireFile } from './required-file';
import { COMPONENTS, type ComponentName } from './layout';
import { weightFiles } from './weight-files';

/** Paths of every file the component needs, config first; throws for the first one that is not there. */
export async function componentFiles(checkpoint: string, name: ComponentName): Promise<string[]> {
  const dir = join(checkpoint, name);
  const layout = COMPONENTS[name];
  const config = join(dir, layout.config);
  await requireFile(config, `the settings of ${name}`);
  if (layout.weights) return [config, ...(await weightFiles(dir))];
  if (layout.files) return [config, ...(await firstComplete(dir, name, layout.files))];
  return [config];
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
