import { existsSync } from 'node:fs';
import { openCheckpoint, type Checkpoint } from '@atelier/checkpoint';
import { AtelierError } from '@atelier/contracts';
import type { Settings } from './settings';

/** The checkpoint that is set, or an error that says how to get one. */
export async function openModel({ model, modelGiven }: Settings): Promise<Checkpoint> {
  const remedy = modelGiven
    ? 'Give another folder with --model or ATELIER_MODEL'
    : 'Download one with "atelier model pull", or name its folder with --model or ATELIER_MODEL';
  if (!existsSync(model)) throw new AtelierError('NOT_FOUND', `there is no checkpoint at ${model}. ${remedy}`);
  return openCheckpoint(model).catch((error: AtelierError) => {
    throw new AtelierError(error.code, `${error.message}. ${remedy}`, {}, { cause: error });
  });
}
