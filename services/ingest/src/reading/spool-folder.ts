import { mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isLocked, takeLock, type Lock } from '@atelier/mesh';

const PREFIX = 'ingest-';
const LOCK = 'alive';

/**
 * One without a lock was made this moment, or by a version that took none: whether anyone uses it shows by its age
 * alone.
 */
const ABANDONED_MS = 24 * 3_600_000;

/** A folder of one data set's own on disk, for as long as it is read. Its lock says that someone alive uses it. */
export class SpoolFolder {
  private constructor(
    readonly path: string,
    private readonly lock: Lock | undefined,
  ) {}

  static async create(parent: string): Promise<SpoolFolder> {
    const path = await mkdtemp(join(parent, PREFIX));
    return new SpoolFolder(path, await takeLock(join(path, LOCK)).catch(() => undefined)); // some file systems have no sockets
  }

  /** An empty folder in it, whatever was in one of that name. */
  async fresh(name: string): Promise<string> {
    const path = join(this.path, name);
    await rm(path, { recursive: true, force: true });
    await mkdir(path);
    return path;
  }

  async remove(): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
    this.lock?.release();
  }
}

/**
 * Takes away the folders of those that were killed, and none that someone uses, on this machine or in a container
 * beside. @returns how many
 */
export async function removeAbandoned(parent: string): Promise<number> {
  let removed = 0;
  for (const name of (await readdir(parent)).filter((each) => /^ingest-[A-Za-z0-9]{6}$/.test(each))) {
    const path = join(parent, name);
    try {
      if (!(await isAbandoned(path))) continue;
      await rm(path, { recursive: true, force: true });
      removed += 1;
    } catch {
      // Another one takes it away at this moment, or it is somebody else's.
    }
  }
  return removed;
}

async function isAbandoned(path: string): Promise<boolean> {
  if (!(await stat(path)).isDirectory()) return false;
  const lock = join(path, LOCK);
  if ((await readdir(path)).includes(LOCK)) return !(await isLocked(lock));
  return !(await isLocked(lock)) && Date.now() - (await stat(path)).mtimeMs > ABANDONED_MS;
}
