import { Readable } from 'node:stream';
import { BadFile } from './bad-file';
import { formatBytes } from './format-bytes';

/** One file a person gave, wherever its bytes lie: in the object store, inside an archive, on disk. */
export interface InputFile {
  /** Clean relative path with forward slashes, `cats/tom.jpg`; files of an archive carry its name in front. */
  readonly name: string;
  /** Bytes once unpacked, as far as the container tells. */
  readonly size: number;
  open(): Promise<Readable>;
}

/** What a reader finds: a picture with its caption as written, or a file that cannot be used and why. */
export type Found =
  | { readonly kind: 'picture'; readonly name: string; readonly caption?: string; readonly bytes: Buffer }
  | { readonly kind: 'rejected'; readonly name: string; readonly reason: string };

/** The whole file in memory; refused as soon as it is larger than `limit` bytes, whatever its header claims. */
export async function readWhole(file: InputFile, limit: number): Promise<Buffer> {
  const tooLarge = (size: number) =>
    new BadFile(`is larger than ${formatBytes(limit)} (${formatBytes(size)} so far): make it smaller`);
  if (file.size > limit) throw tooLarge(file.size);
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of await file.open()) {
    size += (chunk as Buffer).length;
    if (size > limit) throw tooLarge(size);
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks, size);
}

/** Plain code-unit order: the same on every machine, whatever its language settings. */
export function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}
