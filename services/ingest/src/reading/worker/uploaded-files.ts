import { createReadStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import type { InputFile } from '../../readers';

/**
 * The uploaded files, each fetched when it is opened. One that is read as a stream is gone from the disk when it was:
 * of ten thousand pictures one lies there at a time.
 */
export function uploadedFiles(
  files: readonly { name: string; size: number }[],
  fetch: (file: number) => Promise<string>,
): InputFile[] {
  return files.map(({ name, size }, index) => ({
    name,
    size,
    onDisk: () => fetch(index),
    open: async () => {
      const path = await fetch(index);
      const stream = createReadStream(path);
      stream.once('close', () => void rm(path, { force: true }).catch(() => undefined)); // at worst it goes with the folder
      return stream;
    },
  }));
}
