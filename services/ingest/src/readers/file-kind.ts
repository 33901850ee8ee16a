import { baseOf } from './paths';

export type FileKind = 'picture' | 'caption' | 'metadata' | 'parquet' | 'zip' | 'tar' | 'ignored' | 'unknown';

const PICTURES = /\.(jpe?g|jpe|jfif|png|webp|avif|tiff?|gif)$/i;
/** What systems and repositories leave beside pictures, and nobody means to train on. */
const CLUTTER = /^(\..*|thumbs\.db|desktop\.ini|readme(\..*)?|licen[cs]e(\..*)?|dataset_infos?\.json)$/i;

/** What a file is for, from its name alone; whether its content agrees is found out when it is read. */
export function fileKind(name: string): FileKind {
  const base = baseOf(name);
  if (CLUTTER.test(base) || name.split('/').includes('__MACOSX')) return 'ignored';
  if (base.toLowerCase() === 'metadata.jsonl') return 'metadata';
  if (PICTURES.test(base)) return 'picture';
  if (/\.(txt|caption)$/i.test(base)) return 'caption';
  if (/\.parquet$/i.test(base)) return 'parquet';
  if (/\.zip$/i.test(base)) return 'zip';
  if (/\.(tar|tar\.gz|tgz)$/i.test(base)) return 'tar';
  return 'unknown';
}
