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
