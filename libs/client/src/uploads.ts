import { pipeline, Transform, type Readable } from 'node:stream';
import type { Connection } from './connection';
import { buckets } from '@atelier/contracts';

export interface UploadFile {
  name: string;
  data: Readable | Uint8Array;
}

export interface UploadProgress {
  file: string;
  files: number;
  bytes: number;
}

export interface StoredFile {
  name: string;
  blob: string;
  size: number;
}

/**
 * Puts files into the pictures bucket one after the other, so that a folder of any size needs memory for one chunk.
 * When one fails, those already there are taken away again and the failure goes on to the caller.
 */
export async function storeFiles(
  { blobs }: Connection,
  prefix: string,
  files: AsyncIterable<UploadFile> | Iterable<UploadFile>,
  onProgress?: (progress: UploadProgress) => void,
): Promise<StoredFile[]> {
  const stored: StoredFile[] = [];
  let bytes = 0;
  try {
    for await (const { name, data } of files) {
      const blob = `${prefix}/${String(stored.length).padStart(6, '0')}`;
      let size = 0;
      const count = (length: number): void => {
        size += length;
        bytes += length;
        onProgress?.({ file: name, files: stored.length, bytes });
      };
      // Noted before the put: a put that fails half way may have left its chunks.
      const entry = { name, blob, size };
      stored.push(entry);
      if (data instanceof Uint8Array) {
        await blobs.put(buckets.blobs.pictures, blob, data, {}, 'new work');
        count(data.byteLength);
      } else {
        await blobs.put(buckets.blobs.pictures, blob, counted(data, count), {}, 'new work');
      }
      entry.size = size;
    }
  } catch (error) {
    await Promise.allSettled(stored.map(({ blob }) => blobs.delete(buckets.blobs.pictures, blob)));
    throw error;
  }
  return stored;
}

/** The same stream, telling the length of every chunk; an error of the source ends it. */
function counted(source: Readable, count: (length: number) => void): Readable {
  const counter = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      count(chunk.length);
      done(null, chunk);
    },
  });
  pipeline(source, counter, () => undefined);
  counter.on('error', () => undefined); // whoever reads it is told; it may fail before anybody does
  return counter;
}
