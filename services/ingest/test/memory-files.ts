import { Readable } from 'node:stream';
import { BadFile, type Found, type InputFile, type Limits } from '../src/readers';

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

export function memoryFile(name: string, content: string | Uint8Array): InputFile {
  const bytes = Buffer.from(content as Uint8Array);
  return { name, size: bytes.length, open: () => Promise.resolve(Readable.from([bytes])) };
}

export async function collect(found: AsyncIterable<Found>): Promise<Found[]> {
  const all: Found[] = [];
  for await (const each of found) all.push(each);
  return all;
}

/** `name: caption` of each picture and `name! reason` of each rejected file, in the order found. */
export async function summary(found: AsyncIterable<Found>): Promise<string[]> {
  const lines: string[] = [];
  for (const each of await collect(found)) lines.push(await lineOf(each));
  return lines;
}

async function lineOf(found: Found): Promise<string> {
  if (found.kind === 'rejected') return `${found.name}! ${found.reason}`;
  try {
    return `${found.name}: ${(await found.load()).caption ?? '(none)'}`;
  } catch (error) {
    if (!(error instanceof BadFile)) throw error;
    return `${found.name}! ${error.reason}`;
  }
}
