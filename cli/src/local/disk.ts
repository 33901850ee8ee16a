import { readdirSync, readFileSync, renameSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { reserveOf } from '@atelier/mesh';

/** The disk of a folder. Bytes. */
export interface Disk {
  total: number;
  /** For those who are not root. */
  free: number;
}

const MiB = 1024 ** 2;
const SPARE = 4 * MiB;
/** stat counts in these. */
const BLOCK = 512;
/** nats-server has to find room for a whole message, or a block's index, whatever it has been told of its limit. */
const SMALLEST_MARGIN = 8 * MiB;
/** What a store reserves that an earlier version made and that cannot be read: one stream of 1 GiB. */
const RESERVED_BEFORE = 1024 ** 3;

export function diskOf(folder: string): Disk {
  const { blocks, bavail, bsize } = statfsSync(folder);
  return { total: blocks * bsize, free: bavail * bsize };
}

/** What is never written to of a disk so large: nats-server, 2.9 above all, does not survive its end. */
export const marginOf = (total: number): number => Math.max(SMALLEST_MARGIN, Math.floor(reserveOf(total) / 4));

/**
 * max_file_store of a store that holds so many bytes: those, and what is free but for the margin. Never less than what
 * its streams reserve, or nats-server would not serve them again.
 */
export function storeLimit({ total, free }: Disk, used: number, reserved: number): number {
  return Math.max(reserved + MiB, used + free - marginOf(total));
}

/**
 * Room that is kept in a file, to be given up when nothing else is left: nats-server writes a little before it starts,
 * and without it even reading would have to wait until someone frees space.
 */
export class SpareRoom {
  private readonly path: string;

  constructor(folder: string) {
    this.path = join(folder, 'spare-room');
  }

  /** Where there is room for it, and it is not there. */
  keep(disk: Disk): void {
    if (this.bytes > 0 || disk.free < marginOf(disk.total)) return;
    // not zeros, which some file systems store as nothing
    writeFileSync(`${this.path}.new`, Buffer.alloc(SPARE, 'spare room. '));
    renameSync(`${this.path}.new`, this.path);
  }

  /** What there is of it now. */
  get bytes(): number {
    return statSync(this.path, { throwIfNoEntry: false })?.size ?? 0;
  }

  giveUp(): void {
    for (const path of [this.path, `${this.path}.new`]) rmSync(path, { force: true });
  }
}

/** What the files of a folder take of their disk. */
export function usedBy(folder: string): number {
  return entriesOf(folder).reduce((sum, entry) => {
    const path = join(folder, entry.name);
    return (
      sum + (entry.isDirectory() ? usedBy(path) : (statSync(path, { throwIfNoEntry: false })?.blocks ?? 0) * BLOCK)
    );
  }, 0);
}

/**
 * What the streams of a store have had set aside for them (max_bytes), by the description that nats-server keeps of
 * each.
 */
export function reservedBy(store: string): number {
  let sum = 0;
  for (const account of entriesOf(join(store, 'jetstream'))) {
    for (const stream of entriesOf(join(store, 'jetstream', account.name, 'streams'))) {
      try {
        const description = readFileSync(
          join(store, 'jetstream', account.name, 'streams', stream.name, 'meta.inf'),
          'utf8',
        );
        sum += Math.max(0, (JSON.parse(description) as { max_bytes?: number }).max_bytes ?? 0);
      } catch {
        sum = Math.max(sum, RESERVED_BEFORE);
      }
    }
  }
  return sum;
}

function entriesOf(folder: string): { name: string; isDirectory(): boolean }[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    return [];
  }
}
