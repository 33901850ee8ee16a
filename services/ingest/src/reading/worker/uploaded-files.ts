import { createReadStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import type { InputFile } from '../../readers';

/**
 * The uploaded files, each fetched when it is opened. One that is read as a stream is gone from the disk when it was:
 * of ten thousand pictures one lies there at a time. One that is opened again is fetched again.
 */
export function uploadedFiles(
  files: readonly { name: string; size: number }[],
  fetch: (file: number) => Promise<string>,
): InputFile[] {
  return files.map(({ name, size }, index) => {
    let before: Promise<void> = Promise.resolve();
    return {
      name,
      size,
      onDisk: () => fetch(index),
      forget: async () => rm(await fetch(index), { force: true }),
      open: async () => {
        const mine = before;
        let over!: () => void;
        before = new Promise((resolve) => (over = resolve));
        await mine; // one that was read before is being taken away, and has to be fetched anew after that
        const path = await fetch(index).catch((error: unknown) => {
          over();
          throw error;
        });
        const stream = createReadStream(path);
        stream.once('close', () => {
          void rm(path, { force: true })
            .catch(() => undefined)
            .then(over); // at worst it goes with the folder
        });
        return stream;
      },
    };
  });
}
