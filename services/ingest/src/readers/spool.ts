import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';

/**
 * A private folder for what needs random access (zip, parquet) or comes in one pass only (tar). Files get
 * numbers, never a name from outside, so no path in an archive can reach the disk. One ingest, one spool.
 */
export class Spool {
  private count = 0;

  private constructor(private readonly folder: string) {}

  static async create(parent: string): Promise<Spool> {
    return new Spool(await mkdtemp(join(parent, 'ingest-')));
  }

  /** Writes the stream and returns the path it lies at. What fails half-way leaves nothing on the disk. */
  async write(data: AsyncIterable<Uint8Array>): Promise<string> {
    const path = join(this.folder, String(this.count++));
    try {
      await pipeline(data, createWriteStream(path, { flags: 'wx' }));
    } catch (error) {
      await rm(path, { force: true });
      throw error;
    }
    return path;
  }

  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}
