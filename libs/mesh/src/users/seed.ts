import { AtelierError } from '@atelier/contracts';
import { fromSeed } from 'nkeys.js';
import { readFileSync } from 'node:fs';

/** Throws INVALID_ARGUMENT, naming the file and what to do. */
export function readSeed(file: string): Uint8Array {
  const remedy = 'It is to be a file with one seed of a user, as "atelier nats-users" writes them';
  const refuse = (why: string, cause?: unknown): never => {
    throw new AtelierError('INVALID_ARGUMENT', `the seed ${file} ${why}. ${remedy}`, {}, { cause });
  };
  let text: string;
  try {
    text = readFileSync(file, 'utf8').trim();
  } catch (error) {
    return refuse(`cannot be read: ${(error as Error).message}`, error);
  }
  const seed = Buffer.from(text);
  try {
    if (fromSeed(seed).getPublicKey().startsWith('U')) return seed;
  } catch (error) {
    return refuse('is none', error); // of the text nothing is told: it may be one, with a letter too many
  }
  return refuse('is not of a user');
}
