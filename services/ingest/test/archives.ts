import { execFileSync } from 'node:child_process';
import { createGzip } from 'node:zlib';
import { pack } from 'tar-stream';
import { ZipFile } from 'yazl';

export type Entries = Record<string, string | Uint8Array>;

async function gather(stream: AsyncIterable<unknown>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

export async function makeZip(entries: Entries): Promise<Buffer> {
  const zip = new ZipFile();
  for (const [name, content] of Object.entries(entries)) zip.addBuffer(Buffer.from(content as Uint8Array), name);
  zip.end();
  return gather(zip.outputStream);
}

/** A zip whose entry `placeholder` is renamed to `hostile` of equal length: writers refuse such names, attackers do not. */
export async function makeZipWithName(entries: Entries, placeholder: string, hostile: string): Promise<Buffer> {
  if (placeholder.length !== hostile.length) throw new Error('both names need one length');
  const bytes = await makeZip(entries);
  return Buffer.from(bytes.toString('latin1').replaceAll(placeholder, hostile), 'latin1');
}

/** A zip whose names are in the encodings that are given, and not marked as UTF-8: as old packers and macOS write it. */
export async function unmarkedZip(
  entries: Record<string, readonly [encoding: string, content: string | Uint8Array]>,
): Promise<Buffer> {
  const renamed = Object.entries(entries).map(([name, [encoding, content]], index) => {
    const raw = execFileSync('iconv', ['-f', 'UTF-8', '-t', encoding], { input: name });
    return { raw, placeholder: String(index).padEnd(raw.length, '~'), content };
  });
  let bytes = await makeZip(Object.fromEntries(renamed.map(({ placeholder, content }) => [placeholder, content])));
  for (const { raw, placeholder } of renamed) bytes = replaceAll(bytes, Buffer.from(placeholder), raw);
  // yazl marks every name; bit 11 stands in the second byte of the flags.
  for (const [signature, at] of [
    ['504b0304', 7],
    ['504b0102', 9],
  ] as const)
    for (let found = bytes.indexOf(signature, 0, 'hex'); found >= 0; found = bytes.indexOf(signature, found + 1, 'hex'))
      bytes[found + at]! &= ~0x08;
  return bytes;
}

function replaceAll(bytes: Buffer, from: Buffer, to: Buffer): Buffer {
  return Buffer.from(bytes.toString('latin1').replaceAll(from.toString('latin1'), to.toString('latin1')), 'latin1');
}

/** By the system's program, as people pack. */
export function packed(program: string, bytes: Uint8Array): Buffer {
  return execFileSync(program, ['-c'], { input: bytes, maxBuffer: 2 ** 30 });
}

export async function makeTar(entries: Entries, links: Record<string, string> = {}): Promise<Buffer> {
  const tar = pack();
  for (const [name, content] of Object.entries(entries)) tar.entry({ name }, Buffer.from(content as Uint8Array));
  for (const [name, linkname] of Object.entries(links)) tar.entry({ name, type: 'symlink', linkname });
  tar.finalize();
  return gather(tar as AsyncIterable<unknown>);
}

export async function gzip(bytes: Uint8Array): Promise<Buffer> {
  const stream = createGzip();
  stream.end(bytes);
  return gather(stream);
}
