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
  /** Where it lies on disk, of one that can be had there without being copied. */
  onDisk?(): Promise<string>;
  /** It is not needed on disk any more, until it is asked for again. */
  forget?(): Promise<void>;
}

/** What a reader finds: a picture that can be had with its captions as written, a file that cannot be used and why, or a word on what was made of one. */
export type Found = FoundPicture | Rejected | Note;

export interface Rejected {
  readonly kind: 'rejected';
  readonly name: string;
  readonly reason: string;
  /** How many pictures are left out with it. Default: none, it being a caption, a line of a list or an archive. */
  readonly pictures?: number;
}

export interface Note {
  readonly kind: 'note';
  readonly name: string;
  readonly text: string;
}

export interface FoundPicture {
  readonly kind: 'picture';
  readonly name: string;
  /** How often it counts beside the others. */
  readonly repeats: number;
  /** Asked once, when the picture's turn has come. @throws BadFile when the picture or its caption cannot be used */
  load(): Promise<LoadedPicture>;
}

export interface LoadedPicture {
  readonly bytes: Buffer;
  /** None where none came with it. */
  readonly captions: readonly string[];
  /** What a person should know of how they were read. */
  readonly notes: readonly string[];
}

/** The file's bytes as they come; refused as soon as they are more than `limit`, whatever its header claims. */
export async function* readWithin(file: InputFile, limit: number): AsyncGenerator<Buffer> {
  const tooLarge = (size: number) =>
    new BadFile(`is larger than ${formatBytes(limit)} (${formatBytes(size)} so far): make it smaller`);
  if (file.size > limit) throw tooLarge(file.size);
  let size = 0;
  for await (const chunk of await file.open()) {
    size += (chunk as Buffer).length;
    if (size > limit) throw tooLarge(size);
    yield chunk as Buffer;
  }
}

/** The whole file in memory. */
export async function readWhole(file: InputFile, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of readWithin(file, limit)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Plain code-unit order: the same on every machine, whatever its language settings. */
export function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}
