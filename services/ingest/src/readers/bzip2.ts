import { closeSync, createReadStream, openSync, readSync, statSync, writeSync } from 'node:fs';
import { decode, type BzipInput } from 'seek-bzip';
import { BadFile } from './bad-file';
import { formatBytes } from './format-bytes';
import type { ArchiveBudget } from './limits';

/** The decoder takes about a second for each megabyte, and nothing else is done meanwhile. */
const LARGEST = 64 * 2 ** 20;
const CHUNK = 256 * 1024;
/** Nothing else ends a read that is over. */
const END = -1;

/** What a bzip2 file holds, by way of a file: the decoder is pulled and does not wait. */
export async function* unpackBzip2(path: string, to: string, budget: ArchiveBudget): AsyncGenerator<Buffer> {
  const { size } = statSync(path);
  if (size > LARGEST)
    throw new BadFile(
      `is packed with bzip2, of which ${formatBytes(LARGEST)} are read (it has ${formatBytes(size)}): pack it as .tar.gz or .zip`,
    );
  const [source, target] = [openSync(path, 'r'), openSync(to, 'wx')];
  try {
    const output = bufferedOutput(target, budget);
    decode(bufferedInput(source, size), output, true);
    output.flush();
  } finally {
    closeSync(source);
    closeSync(target);
  }
  yield* createReadStream(to) as AsyncIterable<Buffer>;
}

function bufferedInput(source: number, size: number): BzipInput {
  const chunk = Buffer.alloc(CHUNK);
  let [at, filled, taken] = [0, 0, 0];
  const readByte = (): number => {
    if (at >= filled) [at, filled] = [0, readSync(source, chunk, 0, CHUNK, null)];
    if (filled === 0) return END;
    taken += 1;
    return chunk[at++]!;
  };
  const read = (into: Uint8Array, offset: number, length: number): number => {
    for (let index = 0; index < length; index += 1) {
      const byte = readByte();
      if (byte === END) return index === 0 ? END : index;
      into[offset + index] = byte;
    }
    return length;
  };
  return { eof: () => taken >= size, readByte, read };
}

function bufferedOutput(target: number, budget: ArchiveBudget): { writeByte(byte: number): void; flush(): void } {
  const chunk = Buffer.alloc(CHUNK);
  // What passes is counted once more as it is read, of the whole budget: here it is only kept from filling the disk.
  let [at, left] = [0, budget.left()];
  const flush = (): void => {
    writeSync(target, chunk, 0, at);
    at = 0;
  };
  return {
    writeByte: (byte) => {
      if ((left -= 1) < 0) budget.takeBytes(budget.left() + 1);
      chunk[at++] = byte;
      if (at === CHUNK) flush();
    },
    flush,
  };
}
