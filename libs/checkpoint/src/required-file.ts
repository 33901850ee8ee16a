import { stat } from 'node:fs/promises';
import { CheckpointError } from './errors';
import { missing } from './json-file';

export async function requireFile(file: string, purpose: string): Promise<void> {
  const found = await stat(file).catch((error: unknown) => {
    throw missing(file, purpose, error);
  });
  if (!found.isFile()) throw new CheckpointError('NOT_FOUND', `${file}: is not a file; it should hold ${purpose}`);
}

export async function isFile(file: string): Promise<boolean> {
  return stat(file).then(
    (found) => found.isFile(),
    () => false,
  );
}
