import { baseOf } from './paths';

export type FileKind =
  'picture' | 'caption' | 'metadata' | 'parquet' | 'archive' | 'other-picture' | 'ignored' | 'unknown';

const PICTURES = /\.(jpe?g|jpe|jfif|png|webp|avif|tiff?|gif)$/i;
/** Pictures by their names that are read only where the name is wrong: what they really are, and what to do, is said by name. */
const OTHER_PICTURES = /\.(hei[cf]|jxl|bmp|dib|svgz?|jp2|j2k|psd|ico|dng|cr[23]|nef|arw)$/i;
const ARCHIVES = /\.(zip|cbz|tar|tgz|tbz2?|txz|tar\.(gz|bz2|xz|zst|lz4|lzma)|gz|bz2|xz|zst|7z|rar)$/i;
/** What systems and repositories leave beside pictures, and nobody means to train on. */
const CLUTTER = /^(\..*|thumbs\.db|desktop\.ini|readme(\..*)?|licen[cs]e(\..*)?|dataset_infos?\.json)$/i;
/** Folders of the same kind: hidden ones, macOS' forks, a Synology's thumbnails, what was thrown away. */
const CLUTTER_FOLDER = /^(\..*|__MACOSX|@eaDir|#recycle|\$RECYCLE\.BIN|System Volume Information|lost\+found)$/i;

/** What a file is for, from its name alone; whether its content agrees is found out when it is read. */
export function fileKind(name: string): FileKind {
  const base = baseOf(name);
  const folders = name.split('/').slice(0, -1);
  if (CLUTTER.test(base) || folders.some((folder) => CLUTTER_FOLDER.test(folder))) return 'ignored';
  if (/^metadata\.(jsonl|csv)$/i.test(base)) return 'metadata';
  if (PICTURES.test(base)) return 'picture';
  if (OTHER_PICTURES.test(base)) return 'other-picture';
  if (/\.(txt|caption|json|cls)$/i.test(base)) return 'caption';
  if (/\.parquet$/i.test(base)) return 'parquet';
  if (ARCHIVES.test(base)) return 'archive';
  return 'unknown';
}

/** A file that is taken for a picture. */
export function isPicture(name: string): boolean {
  const kind = fileKind(name);
  return kind === 'picture' || kind === 'other-picture';
}
