import { Readable } from 'node:stream';
import * as yauzl from 'yauzl';
import { asBadFile, BadFile, blameFile } from './bad-file';
import type { Found, InputFile } from './input-file';
import type { ArchiveBudget } from './limits';
import { isPicture } from './file-kind';
import { cleanPath, printable } from './paths';
import { zipNames } from './zip-names';

const S_IFMT = 0o170000;
const S_IFLNK = 0o120000;

/** An archive laid open: its files, what is to be said of it, and the handle to close when all is read. */
export interface OpenArchive {
  readonly files: InputFile[];
  /** What of it cannot be used, and what was made of it. */
  readonly reports: Found[];
  close(): void;
}

/**
 * Lists a zip file that lies on disk; entries are inflated only when they are opened, and never past the size
 * their header declares. A bad entry costs that entry; a zip over budget or without a readable directory is refused.
 * @param name what the archive is called; it goes in front of its files' names
 */
export async function openZip(path: string, name: string, budget: ArchiveBudget): Promise<OpenArchive> {
  // decodeStrings off: with it on, one "../" in a name would end the listing of the whole archive.
  const zip = await blameFile(
    'is not a zip file that can be read',
    'Pack it again, or copy it again if it was cut short',
    () =>
      yauzl.openPromise(path, { lazyEntries: true, autoClose: false, decodeStrings: false, validateEntrySizes: true }),
  );
  try {
    const entries = await entriesOf(zip, budget);
    const names = zipNames(entries);
    const files: InputFile[] = [];
    const reports: Found[] = names.note === undefined ? [] : [{ kind: 'note', name, text: names.note }];
    for (const entry of entries) {
      const raw = names.of(entry);
      try {
        files.push(zipEntry(zip, entry, `${name}/${cleanEntry(entry, raw)}`));
      } catch (error) {
        const { reason } = asBadFile('cannot be read', error);
        reports.push({ kind: 'rejected', name: `${name}/${printable(raw)}`, reason, pictures: isPicture(raw) ? 1 : 0 });
      }
    }
    return { files, reports, close: () => zip.close() };
  } catch (error) {
    zip.close();
    throw asBadFile('is a damaged zip file', error, 'Pack it again, or copy it again if it was cut short');
  }
}

/** All files in it, within the budget. */
async function entriesOf(zip: yauzl.ZipFile, budget: ArchiveBudget): Promise<yauzl.Entry[]> {
  const entries: yauzl.Entry[] = [];
  const spans: Span[] = [];
  let bytes = 0;
  for await (const entry of zip.eachEntry()) {
    if (entry.fileNameRaw.at(-1) === SLASH) continue;
    budget.takeFile();
    bytes += entry.uncompressedSize;
    const start = entry.relativeOffsetOfLocalHeader;
    spans.push({ start, end: start + LOCAL_HEADER_BYTES + entry.compressedSize });
    entries.push(entry);
  }
  refuseOverlaps(spans);
  budget.takeBytes(bytes);
  return entries;
}

/** A folder's name ends with one. */
const SLASH = 0x2f;

/** The least that an entry's local header takes: its name and extra field come on top. */
const LOCAL_HEADER_BYTES = 30;

interface Span {
  readonly start: number;
  readonly end: number;
}

/** Entries that share their bytes unpack to any size from next to nothing, and no archiver writes them. */
function refuseOverlaps(spans: Span[]): void {
  spans.sort((a, b) => a.start - b.start);
  for (const [index, { start }] of spans.entries()) {
    if (index > 0 && start < spans[index - 1]!.end)
      throw new BadFile('is a zip file whose entries overlap: pack it again');
  }
}

function cleanEntry(entry: yauzl.Entry, raw: string): string {
  const path = cleanPath(raw);
  if (((entry.externalFileAttributes >>> 16) & S_IFMT) === S_IFLNK)
    throw new BadFile('is a link; put the file itself in the archive');
  if (entry.isEncrypted()) throw new BadFile('is encrypted; make the archive without a password');
  if (!entry.canDecodeFileData())
    throw new BadFile(
      `is packed with ${methodName(entry.compressionMethod)}; deflate is read: pack it again with the usual settings`,
    );
  return path;
}

const METHODS: Readonly<Record<number, string>> = {
  9: 'Deflate64',
  12: 'bzip2',
  14: 'LZMA',
  93: 'Zstandard',
  95: 'xz',
  98: 'PPMd',
};

const methodName = (method: number): string => METHODS[method] ?? `method ${method}`;

function zipEntry(zip: yauzl.ZipFile, entry: yauzl.Entry, name: string): InputFile {
  return { name, size: entry.uncompressedSize, open: () => Promise.resolve(Readable.from(inflate(zip, entry))) };
}

/** The entry's bytes; trouble on the way is the archive's fault, not that of whoever reads them. */
async function* inflate(zip: yauzl.ZipFile, entry: yauzl.Entry): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of await zip.openReadStreamPromise(entry)) yield chunk as Buffer;
  } catch (error) {
    throw asBadFile('is damaged in its zip file', error, 'Pack it again, or copy it again if it was cut short');
  }
}
