import { createReadStream } from 'node:fs';
import { Transform, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import * as tar from 'tar-stream';
import { asBadFile, BadFile } from './bad-file';
import type { Found, InputFile } from './input-file';
import type { ArchiveBudget } from './limits';
import { isPicture } from './file-kind';
import { cleanPath, printable } from './paths';
import type { Spool } from './spool';
import type { OpenArchive } from './zip';

/**
 * Takes a tar file apart in one pass: what may be of use goes into the spool. Every byte counts against the budget,
 * used or not. A damaged end keeps what came before it.
 * @param data the tar itself, without what it was packed with
 * @param progress called at each entry: one archive may take long, one entry may not
 */
export async function openTar(
  data: Readable,
  name: string,
  budget: ArchiveBudget,
  spool: Spool,
  progress: () => void,
): Promise<OpenArchive> {
  const files: InputFile[] = [];
  const rejected: Found[] = [];
  const extract = tar.extract();
  const unpacking = pipeline([data, countBytes(budget), extract] as never[]).catch((error) => {
    extract.destroy(error as Error);
  });
  try {
    for await (const entry of extract) {
      const { type, name: raw } = entry.header;
      progress();
      if (type === 'directory') {
        entry.resume();
        continue;
      }
      budget.takeFile();
      const found = await unpackEntry(entry, name, spool);
      if ('open' in found) files.push(found);
      else rejected.push({ ...found, name: `${name}/${printable(raw)}` });
    }
  } catch (error) {
    if (files.length === 0)
      throw asBadFile(
        'is not a tar file that can be read',
        error,
        'Pack it again, or copy it again if it was cut short',
      );
    rejected.push({
      kind: 'rejected',
      name,
      reason: `${asBadFile('is damaged', error).reason}; the ${files.length} files before that were read`,
    });
  }
  await unpacking;
  return { files, reports: rejected, close: () => undefined };
}

type TarEntry = AsyncIterable<unknown> & {
  readonly header: Pick<tar.Header, 'name' | 'type' | 'size'>;
  resume(): unknown;
};

async function unpackEntry(
  entry: TarEntry,
  archive: string,
  spool: Spool,
): Promise<InputFile | Extract<Found, { kind: 'rejected' }>> {
  const { type, name: raw, size } = entry.header;
  try {
    if (type === 'symlink' || type === 'link') throw new BadFile('is a link; put the file itself in the archive');
    if (type !== 'file' && type !== 'contiguous-file') throw new BadFile(`is not a file (${type})`);
    const name = `${archive}/${cleanPath(raw)}`;
    const path = await spool.write(entry as AsyncIterable<Uint8Array>);
    return { name, size, open: () => Promise.resolve(createReadStream(path)) };
  } catch (error) {
    if (!(error instanceof BadFile)) throw error;
    entry.resume();
    return { kind: 'rejected', name: raw, reason: error.reason, pictures: isPicture(raw) ? 1 : 0 };
  }
}

function countBytes(budget: ArchiveBudget): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      try {
        budget.takeBytes(chunk.length);
        done(null, chunk);
      } catch (error) {
        done(error as Error);
      }
    },
  });
}
