import { Readable } from 'node:stream';
import { BadFile, type Found, type InputFile, type Limits } from '../src/readers';
import type { FolderReading } from '../src/readers/folder';
import { unwatched } from '../src/readers/in-hand';

/** Limits small enough to run into on purpose. */
export const limits: Limits = {
  pictureBytes: 2 * 2 ** 20,
  captionBytes: 2000,
  metadataBytes: 100_000,
  metadataLines: 1000,
  lineLength: 10_000,
  listed: 20,
  rowGroupBytes: 8 * 2 ** 20,
  unpackedBytes: 16 * 2 ** 20,
  unpackRatio: 100,
  files: 200,
  pixels: 4_000_000,
};

/** A folder's reading without anything that a person asked for. */
export const reading: FolderReading = { limits, inHand: unwatched, column: '', captionless: false };

export function memoryFile(name: string, content: string | Uint8Array): InputFile {
  const bytes = Buffer.from(content as Uint8Array);
  return { name, size: bytes.length, open: () => Promise.resolve(Readable.from([bytes])) };
}

export async function collect(found: AsyncIterable<Found>): Promise<Found[]> {
  const all: Found[] = [];
  for await (const each of found) all.push(each);
  return all;
}

/** `name: captions ~ notes` of each picture, `name! reason` of each rejected file, `name~ text` of each note, in the order found. */
export async function summary(found: AsyncIterable<Found>): Promise<string[]> {
  const lines: string[] = [];
  for (const each of await collect(found)) lines.push(await lineOf(each));
  return lines;
}

async function lineOf(found: Found): Promise<string> {
  if (found.kind === 'rejected') return `${found.name}! ${found.reason}`;
  if (found.kind === 'note') return `${found.name}~ ${found.text}`;
  try {
    const { captions, notes } = await found.load();
    const told = notes.map((note) => ` ~ ${note}`).join('');
    return `${found.name}: ${captions.length > 0 ? captions.join(' | ') : '(none)'}${told}`;
  } catch (error) {
    if (!(error instanceof BadFile)) throw error;
    return `${found.name}! ${error.reason}`;
  }
}
