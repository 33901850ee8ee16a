import { readFile } from 'node:fs/promises';
import { CheckpointError } from './errors';

export type JsonObject = Record<string, unknown>;

/** Reads a JSON object from a file, with errors that name the file. */
export async function readJsonObject(file: string, purpose: string): Promise<JsonObject> {
  const text = await readText(file, purpose);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new CheckpointError(
      'DATA_LOSS',
      `${file}: not valid JSON (${(error as Error).message}); download the file again`,
    );
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new CheckpointError('DATA_LOSS', `${file}: expected a JSON object; download the file again`);
  }
  return value as JsonObject;
}

export async function readText(file: string, purpose: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw missing(file, purpose, error);
  }
}

/** The error for a file that cannot be opened. */
export function missing(file: string, purpose: string, cause: unknown): CheckpointError {
  const reason = (cause as NodeJS.ErrnoException).code === 'ENOENT' ? 'does not exist' : (cause as Error).message;
  return new CheckpointError(
    'NOT_FOUND',
    `${file}: ${reason}; it holds ${purpose}. A checkpoint must be complete: see "atelier model pull"`,
    { cause },
  );
}
