import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { ListFileEntry } from '@huggingface/hub';
import { sha256OfFile } from './fingerprint';

/** Whether a file has the size and hash that the hub lists: sha256 for large files (LFS), git's blob hash for the others. */
export async function matchesListing(
  file: string,
  { size, oid, lfs }: Pick<ListFileEntry, 'size' | 'oid' | 'lfs'>,
): Promise<boolean> {
  if ((await stat(file)).size !== size) return false;
  if (lfs) return (await sha256OfFile(file)) === lfs.oid;
  return oid === undefined || (await gitBlobHash(file, size)) === oid;
}

async function gitBlobHash(file: string, size: number): Promise<string> {
  const hash = createHash('sha1').update(`blob ${size}\0`);
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}
