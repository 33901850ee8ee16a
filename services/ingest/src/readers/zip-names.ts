import type { Entry } from 'yauzl';
import { getFileNameLowLevel } from 'yauzl';
import { decoded, detectNameEncoding, shownEncoding } from './charset';

/** General purpose bit 11: name and comment are UTF-8. */
const UTF8 = 0x800;
/** Extra field with the name in UTF-8, beside one in another encoding. */
const UNICODE_PATH = 0x7075;

export interface ZipNames {
  of(entry: Entry): string;
  /** What a person should know of how the names were read. */
  readonly note?: string;
}

/**
 * The names in a zip file. Those that are not marked as UTF-8 are code page 437 by the standard, and in what the packer's
 * system used in truth: macOS packs UTF-8 without the mark, Windows its own code page. All names together show which.
 */
export function zipNames(entries: readonly Entry[]): ZipNames {
  const unmarked = entries.filter((entry) => isUnmarked(entry) && decoded('utf-8', entry.fileNameRaw) === undefined);
  if (unmarked.length === 0) return { of: (entry) => nameOf(entry) };
  const lines = unmarked.flatMap(({ fileNameRaw }) => [fileNameRaw, Buffer.from('\n')]);
  const encoding = detectNameEncoding(Buffer.concat(lines));
  const shown = encoding ? `${shownEncoding(encoding)}, which was detected` : 'code page 437, as the standard has it';
  const many = unmarked.length === 1 ? '1 name that is' : `${unmarked.length} names that are`;
  return {
    of: (entry) => nameOf(entry, encoding),
    note: `has ${many} not marked as UTF-8 and were read as ${shown}: if they are wrong, pack it with UTF-8 names`,
  };
}

function nameOf(entry: Entry, encoding?: string): string {
  const { fileNameRaw, generalPurposeBitFlag: flags, extraFields } = entry;
  const text = isUnmarked(entry)
    ? (decoded('utf-8', fileNameRaw) ?? (encoding && decoded(encoding, fileNameRaw)))
    : undefined;
  return (text ?? getFileNameLowLevel(flags, fileNameRaw, extraFields, false)).replaceAll('\\', '/');
}

function isUnmarked({ generalPurposeBitFlag: flags, extraFields }: Entry): boolean {
  return (flags & UTF8) === 0 && extraFields.every(({ id }) => id !== UNICODE_PATH);
}
