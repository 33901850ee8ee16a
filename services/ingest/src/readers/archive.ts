import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { BadFile } from './bad-file';
import { unpackBzip2 } from './bzip2';
import type { InputFile } from './input-file';
import type { ArchiveBudget } from './limits';
import type { Spool } from './spool';
import { openTar } from './tar';
import { openZip, type OpenArchive } from './zip';

/** What an archive is by its first bytes; how it is named is how people meant it, or not even that. */
export type Packing = 'zip' | 'tar' | 'gzip' | 'bzip2' | 'xz' | '7z' | 'rar' | 'zstd' | 'lz4' | 'unknown';

const SIGNATURES: readonly (readonly [Packing, number, string])[] = [
  ['zip', 0, '504b0304'],
  ['zip', 0, '504b0506'],
  ['zip', 0, '504b0708'],
  ['gzip', 0, '1f8b'],
  ['bzip2', 0, '425a68'],
  ['xz', 0, 'fd377a585a00'],
  ['7z', 0, '377abcaf271c'],
  ['rar', 0, '526172211a07'],
  ['zstd', 0, '28b52ffd'],
  ['lz4', 0, '04224d18'],
  ['tar', 257, '7573746172'], // "ustar"
];

/** The header of a tar's first file. */
const HEAD_BYTES = 512;

export function packingOf(head: Buffer): Packing {
  for (const [packing, at, hex] of SIGNATURES)
    if (head.subarray(at, at + hex.length / 2).equals(Buffer.from(hex, 'hex'))) return packing;
  return 'unknown';
}

/** Opens an archive by its content. @param progress called at each entry: one archive may take long, one entry may not */
export async function openArchive(
  file: InputFile,
  budget: ArchiveBudget,
  spool: Spool,
  progress: () => void,
): Promise<OpenArchive> {
  const path = await spool.place(file);
  const packing = packingOf(await headOf(path));
  const asZip = packing === 'zip' || (packing === 'unknown' && /\.(zip|cbz)$/i.test(file.name));
  if (asZip) return openZip(path, file.name, budget);
  const tar = await unpacked(path, packing, budget, spool);
  const archive = await openTar(tar, file.name, budget, spool, progress);
  await file.forget?.();
  return archive;
}

async function unpacked(path: string, packing: Packing, budget: ArchiveBudget, spool: Spool): Promise<Readable> {
  switch (packing) {
    case 'gzip':
      return piped(createReadStream(path), createGunzip());
    case 'xz':
      return unpackXz(createReadStream(path));
    case 'bzip2':
      return Readable.from(unpackBzip2(path, spool.reserve(), budget), { objectMode: false });
    case '7z':
    case 'rar':
    case 'zstd':
    case 'lz4': {
      const name = { '7z': '7-Zip', rar: 'RAR', zstd: 'Zstandard', lz4: 'LZ4' }[packing];
      throw new BadFile(`is packed with ${name}, which is not read: hand in a .zip, a .tar or a .tar.gz`);
    }
    default:
      return createReadStream(path);
  }
}

function piped(source: Readable, through: ReturnType<typeof createGunzip>): Readable {
  source.on('error', (error) => through.destroy(error));
  through.on('close', () => source.destroy());
  return source.pipe(through);
}

/** Published for browsers as well as for Node, hence with the web's streams. */
async function unpackXz(source: Readable): Promise<Readable> {
  const { XzReadableStream } = await import('xz-decompress');
  const web = new XzReadableStream(Readable.toWeb(source));
  return Readable.fromWeb(web);
}

async function headOf(path: string): Promise<Buffer> {
  const handle = await open(path);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}
