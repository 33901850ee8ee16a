import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { AtelierError } from '@atelier/contracts';
import { nameFrom, type UploadFile } from '@atelier/client';

export interface LocalFile {
  /** With "/" between its parts, relative to the folder that was given. */
  name: string;
  path: string;
  size: number;
}

export interface LocalFiles {
  files: LocalFile[];
  /** Files of a folder that are no kind Atelier reads. */
  ignored: string[];
  bytes: number;
}

/** Everything the ingest service reads; what is really in a file it finds out itself. */
const KINDS = /\.(jpe?g|jpe|jfif|png|webp|avif|tiff?|gif|txt|caption|jsonl|parquet|zip|tar|tgz|tar\.gz)$/i;

/** The files of folders (with those below them), archives and single pictures, in the order of their names. */
export async function localFiles(paths: readonly string[]): Promise<LocalFiles> {
  const found: LocalFiles = { files: [], ignored: [], bytes: 0 };
  for (const path of paths) {
    const info = await stat(path).catch(() => null);
    if (!info)
      throw new AtelierError(
        'INVALID_ARGUMENT',
        `${path} does not exist: give a folder of pictures, a .zip, a .tar or a .parquet`,
      );
    if (info.isDirectory()) await walk(path, '', found);
    else if (!KINDS.test(path))
      throw new AtelierError(
        'INVALID_ARGUMENT',
        `${path} is no picture, archive or parquet file that Atelier reads: give a folder, a .zip, a .tar or a .parquet`,
      );
    else found.files.push({ name: basename(path), path, size: info.size });
  }
  if (found.files.length === 0)
    throw new AtelierError(
      'INVALID_ARGUMENT',
      `there are no pictures in ${paths.join(', ')}: give a folder with pictures (png, jpg, webp, …) and captions (.txt), a .zip, a .tar or a .parquet`,
    );
  found.bytes = found.files.reduce((sum, { size }) => sum + size, 0);
  return found;
}

async function walk(folder: string, prefix: string, found: LocalFiles): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true });
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (entry.name.startsWith('.') || entry.name === '__MACOSX') continue;
    const path = join(folder, entry.name);
    const name = `${prefix}${entry.name}`;
    if (entry.isDirectory()) await walk(path, `${name}/`, found);
    else if (!KINDS.test(entry.name)) found.ignored.push(name);
    // A link to a file counts as the file; a link to a folder is left alone, since it may lead round in a circle.
    else found.files.push({ name, path, size: (await stat(path)).size });
  }
}

/** Opened one after the other, as the upload comes to them. The signal breaks off the one in hand. */
export function* uploads(files: readonly LocalFile[], signal?: AbortSignal): Generator<UploadFile> {
  for (const { name, path } of files) {
    if (signal?.aborted) throw cancelled();
    const data = createReadStream(path);
    const breakOff = (): void => void data.destroy(cancelled());
    signal?.addEventListener('abort', breakOff, { once: true });
    data.once('close', () => signal?.removeEventListener('abort', breakOff));
    yield { name, data };
  }
}

function cancelled(): AtelierError {
  return new AtelierError('CANCELLED', 'the upload was cancelled: nothing of it was kept');
}

/** The data set's name where none was given: that of the folder or archive. */
export function defaultName(path: string): string {
  const base = basename(resolve(path));
  return nameFrom(KINDS.test(base) ? base.replace(/(\.tar)?\.[^.]+$/i, '') : base);
}
