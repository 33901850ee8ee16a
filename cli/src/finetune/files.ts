import { constants } from 'node:fs';
import { access, open, readdir, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { AtelierError } from '@atelier/contracts';
import { nameFrom, type UploadFile } from '@atelier/client';

export interface LocalFile {
  /** With "/" between its parts, relative to the folder that was given. */
  name: string;
  path: string;
  size: number;
}

export interface Unreadable {
  name: string;
  reason: string;
  picture: boolean;
}

export interface LocalFiles {
  files: LocalFile[];
  /** Files of a folder that are no kind Atelier reads. */
  ignored: string[];
  /** What cannot be read here: a link whose target is gone, a file that this user may not read. */
  unreadable: Unreadable[];
  bytes: number;
}

/** Everything the ingest service reads; what is really in a file it finds out itself. */
const KINDS =
  /\.(jpe?g|jpe|jfif|png|webp|avif|tiff?|gif|txt|caption|json|cls|jsonl|csv|parquet|zip|cbz|tar|tgz|tbz2?|txz|tar\.(gz|bz2|xz))$/i;
/** Pictures that are read only where they are named wrongly; ingest says what they are and what to do. */
const OTHER_PICTURES = /\.(hei[cf]|jxl|bmp|svg|jp2)$/i;
const PICTURES = /\.(jpe?g|jpe|jfif|png|webp|avif|tiff?|gif|hei[cf]|jxl|bmp|svg|jp2)$/i;
/** What systems leave in folders and nobody means to train on. */
const CLUTTER =
  /^(\..*|__MACOSX|@eaDir|#recycle|\$RECYCLE\.BIN|System Volume Information|lost\+found|thumbs\.db|desktop\.ini)$/i;

const isRead = (name: string): boolean => KINDS.test(name) || OTHER_PICTURES.test(name);

/** The files of folders (with those below them), archives and single pictures, in the order of their names. */
export async function localFiles(paths: readonly string[]): Promise<LocalFiles> {
  const found: LocalFiles = { files: [], ignored: [], unreadable: [], bytes: 0 };
  for (const path of paths) {
    const info = await stat(path).catch(() => null);
    if (!info)
      throw new AtelierError(
        'INVALID_ARGUMENT',
        `${path} does not exist: give a folder of pictures, a .zip, a .tar or a .parquet`,
      );
    if (info.isDirectory()) await walk(path, '', found);
    else if (!isRead(path))
      throw new AtelierError(
        'INVALID_ARGUMENT',
        `${path} is no picture, archive or parquet file that Atelier reads: give a folder, a .zip, a .tar or a .parquet`,
      );
    else found.files.push({ name: basename(path), path, size: info.size });
  }
  if (found.files.length === 0)
    throw new AtelierError(
      'INVALID_ARGUMENT',
      `there are no pictures in ${paths.join(', ')}${unreadableText(found)}: give a folder with pictures (png, jpg, webp, …) and captions (.txt), a .zip, a .tar or a .parquet`,
    );
  found.bytes = found.files.reduce((sum, { size }) => sum + size, 0);
  return found;
}

const unreadableText = ({ unreadable: [first] }: LocalFiles): string =>
  first ? ` that can be read (${first.name} ${first.reason})` : '';

async function walk(folder: string, prefix: string, found: LocalFiles): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true });
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (CLUTTER.test(entry.name)) continue;
    const path = join(folder, entry.name);
    const name = `${prefix}${entry.name}`;
    try {
      if (entry.isDirectory()) await walk(path, `${name}/`, found);
      else if (!isRead(entry.name)) found.ignored.push(name);
      else await add(path, name, entry.isSymbolicLink(), found);
    } catch (error) {
      found.unreadable.push({ name, reason: whyUnreadable(error, entry), picture: PICTURES.test(name) });
    }
  }
}

/** A link to a file counts as the file; a link to a folder is left alone, since it may lead round in a circle. */
async function add(path: string, name: string, isLink: boolean, found: LocalFiles): Promise<void> {
  const info = await stat(path);
  if (!info.isFile()) throw new Error(isLink && info.isDirectory() ? 'is a link to a folder' : 'is no file');
  await access(path, constants.R_OK);
  found.files.push({ name, path, size: info.size });
}

/** In words that go after its name. */
function whyUnreadable(error: unknown, entry: { isSymbolicLink(): boolean }): string {
  const { code, message } = error as NodeJS.ErrnoException;
  switch (code) {
    case undefined:
      return message;
    case 'ENOENT':
      return entry.isSymbolicLink() ? 'is a link whose target is not there' : 'is not there any more';
    case 'EACCES':
    case 'EPERM':
      return 'may not be read by this user';
    case 'ELOOP':
      return 'is a link that leads to itself';
    default:
      return `cannot be read (${code})`;
  }
}

/**
 * Opened one after the other, as the upload comes to them. The signal breaks off the one in hand. One that cannot be
 * opened any more is noted in `unreadable`, and costs itself only.
 */
export async function* uploads(
  { files, unreadable }: Pick<LocalFiles, 'files' | 'unreadable'>,
  signal?: AbortSignal,
): AsyncGenerator<UploadFile> {
  for (const { name, path } of files) {
    if (signal?.aborted) throw cancelled();
    const handle = await open(path).catch((error: unknown) => {
      const reason = whyUnreadable(error, { isSymbolicLink: () => false });
      unreadable.push({ name, reason, picture: PICTURES.test(name) });
    });
    if (!handle) continue;
    const data = handle.createReadStream();
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
  return nameFrom(isRead(base) ? base.replace(/(\.tar)?\.[^.]+$/i, '') : base);
}
