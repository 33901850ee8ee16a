import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { InputFile } from './input-file';

/**
 * A folder for what needs random access (zip, parquet) or comes in one pass only (tar). Files get numbers, never a
 * name from outside, so no path in an archive can reach the disk. It is whoever made the folder who takes it away.
 */
export class Spool {
  private count = 0;

  constructor(private readonly folder: string) {}

  /** Where the file lies on disk, put there if it does not yet. */
  async place(file: InputFile): Promise<string> {
    return file.onDisk ? file.onDisk() : this.write(await file.open());
  }

  /** A place for a file that someone else writes. */
  reserve(): string {
    return join(this.folder, String(this.count++));
  }

  /** Writes the stream and returns the path it lies at. What fails half-way leaves nothing on the disk. */
  async write(data: AsyncIterable<Uint8Array>): Promise<string> {
    const path = this.reserve();
    try {
      await pipeline(data, createWriteStream(path, { flags: 'wx' }));
    } catch (error) {
      await rm(path, { force: true });
      throw error;
    }
    return path;
  }
}
