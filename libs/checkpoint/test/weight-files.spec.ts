import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { CheckpointError, openCheckpoint } from '../src';
import { weightFiles } from '../src/weight-files';
import { copyOfModel, GOLDENS, scratchFolder } from './fixtures';

interface Case {
  folder: string[];
  indexes?: Record<string, string[]>;
  weights: string[];
}

const cases = JSON.parse(readFileSync(join(GOLDENS, '..', 'weight_files.json'), 'utf8')) as Record<string, Case>;
const scratch = scratchFolder();

/** The weights that a folder's names give, or why there are none. */
async function weightsOf({ folder, indexes = {} }: Case): Promise<string[] | CheckpointError> {
  const dir = mkdtempSync(join(scratch, 'component-'));
  for (const file of folder) writeFileSync(join(dir, file), file);
  for (const [index, files] of Object.entries(indexes)) {
    writeFileSync(join(dir, index), JSON.stringify({ weight_map: Object.fromEntries(files.map((f) => [f, f])) }));
  }
  const paths = await weightFiles(dir).catch((error: CheckpointError) => error);
  if (!Array.isArray(paths)) return paths;
  return paths.map((path) => basename(path)).filter((name) => name.endsWith('.safetensors'));
}

describe('which files are the weights is what the engine says, of', () => {
  it.each(Object.entries(cases).filter(([, { weights }]) => weights.length > 0))('%s', async (_title, folder) => {
    expect(await weightsOf(folder)).toEqual(folder.weights);
  });

  it.each(Object.entries(cases).filter(([, { weights }]) => weights.length === 0))('%s', async (_title, folder) => {
    expect(await weightsOf(folder)).toBeInstanceOf(CheckpointError);
  });
});

it('only weights that are read name a component', async () => {
  const model = copyOfModel(scratch);
  const before = await openCheckpoint(model);
  const { vae } = await before.fingerprints(join(scratch, 'hashes.json'));
  writeFileSync(join(model, 'vae', 'diffusion_pytorch_model.fp16.safetensors'), 'not read');
  const after = await openCheckpoint(model);
  expect((await after.fingerprints(join(scratch, 'hashes.json'))).vae).toBe(vae);
});
