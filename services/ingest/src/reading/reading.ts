import { createWriteStream } from 'node:fs';
import { access, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { failSpan, inSpan, type Logger } from '@atelier/mesh';
import { DatasetRefused } from '../dataset-refused';
import { reasonOf, type Death, type ReaderLimits } from './deaths';
import type { EncodedView, FromReader, ReadingJob, ReadSample } from './messages';
import { ReaderProcess } from './reader-process';
import type { SpoolFolder } from './spool-folder';

/** Whoever takes what is read, in order. */
export interface Taker {
  /** @param pictures how many pictures are left out with it */
  rejected(name: string, reason: string, pictures: number): void;
  /** What was made of a file, where a person might not expect it. */
  note(name: string, text: string): void;
  /** @returns the keys of those views whose pixels are needed */
  wanted(sample: ReadSample): Promise<string[]>;
  /** The sample for good, with those pixels. */
  take(sample: ReadSample, pictures: readonly EncodedView[]): Promise<void>;
}

export interface Upload {
  readonly name: string;
  readonly size: number;
  open(): Promise<Readable>;
}

/** What a data set's reading is, whichever process does it. */
export type Wanted = Omit<ReadingJob, 'folder' | 'files' | 'taken' | 'without'>;

/** Files that may be left out because a reader came to grief over them; then the data set is given up. */
const MOST_GRIEFS = 10;
/** Readers that may be killed by somebody else, or end with nothing in hand. */
const MOST_ACCIDENTS = 3;

/**
 * Reads one data set in processes of its own. When one of them dies, the file it was over is left out with the reason,
 * and another goes on where it was: what was taken is never read again.
 */
export class Reading {
  private readonly without = new Map<string, string>();
  private taken = 0;
  private accidents = 0;
  private killedOver?: string;
  private parallel: number;

  constructor(
    private readonly uploads: readonly Upload[],
    private readonly wanted: Wanted,
    private readonly limits: ReaderLimits,
    private readonly folder: SpoolFolder,
    private readonly logger: Logger,
  ) {
    this.parallel = wanted.parallel;
  }

  /**
   * @throws DatasetRefused when too many files do harm; the signal's reason when that comes first, with the process
   * gone by then
   */
  async run(taker: Taker, signal: AbortSignal): Promise<void> {
    await this.folder.fresh('uploads');
    for (;;) {
      const attributes = { 'atelier.files': this.uploads.length, 'atelier.samples.taken': this.taken };
      const death = await inSpan('read files', { attributes }, async (span) => {
        const died = await this.attempt(taker, signal);
        if (died) failSpan(span, new Error(`a reader process ended early: ${died.how}`));
        return died;
      });
      if (!death) return;
      this.logger.warn({ ...death }, 'a reader process ended early');
      this.blame(death);
    }
  }

  /** @returns how the process died, or nothing when it came through */
  private async attempt(taker: Taker, signal: AbortSignal): Promise<Death | undefined> {
    const folder = await this.folder.fresh('reader');
    signal.throwIfAborted();
    const reader = new ReaderProcess(this.limits, folder);
    const kill = (): void => reader.kill();
    signal.addEventListener('abort', kill, { once: true });
    try {
      const files = this.uploads.map(({ name, size }) => ({ name, size }));
      const job = { ...this.wanted, parallel: this.parallel, folder, files, taken: this.taken, without: this.without };
      if (await this.follow(reader, job, taker, signal)) return undefined;
      signal.throwIfAborted();
      return await reader.death();
    } finally {
      signal.removeEventListener('abort', kill);
      reader.kill();
      await reader.death();
    }
  }

  /** @returns whether it came to the end */
  private async follow(reader: ReaderProcess, job: ReadingJob, taker: Taker, signal: AbortSignal): Promise<boolean> {
    let offered: ReadSample | undefined;
    for await (const message of reader.work(job)) {
      switch (message.kind) {
        case 'fetch':
          reader.send({ kind: 'fetched', file: message.file, path: await this.fetch(message.file, signal) });
          break;
        case 'rejected':
          taker.rejected(message.name, message.reason, message.pictures);
          this.taken += 1;
          break;
        case 'note':
          taker.note(message.name, message.text);
          this.taken += 1;
          break;
        case 'sample':
          offered = message.sample;
          reader.send({ kind: 'wanted', keys: await taker.wanted(offered) });
          break;
        case 'pictures':
          await taker.take(offered!, message.pictures);
          this.taken += 1;
          break;
        case 'trouble':
          throw new Error(message.message);
        case 'end':
          return true;
        case 'at':
        case 'past':
        case 'progress':
          break;
        default:
          unknown(message);
      }
    }
    return false;
  }

  /** The uploaded file on disk; one that was fetched for an earlier process still lies there. */
  private async fetch(file: number, signal: AbortSignal): Promise<string> {
    const path = join(this.folder.path, 'uploads', String(file));
    const there = await access(path).then(
      () => true,
      () => false,
    );
    if (there) return path;
    await pipeline(await this.uploads[file]!.open(), createWriteStream(`${path}.part`), { signal });
    await rename(`${path}.part`, path);
    return path;
  }

  private blame(death: Death): void {
    if (death.inHand.length > 1 && death.cause !== 'killed') {
      this.parallel = 1; // which of them it was, shows when they come one by one
      return;
    }
    const [item] = death.inHand;
    // One that somebody killed says nothing of the file in its hand; killed over the same file again, it does.
    if (item === undefined || (death.cause === 'killed' && item !== this.killedOver)) {
      this.killedOver = item;
      this.parallel = 1;
      this.accidents += 1;
      if (this.accidents <= MOST_ACCIDENTS) return;
      throw new Error(`a reader process ended (${death.how}) ${this.accidents} times: ${death.lastWords.trim()}`);
    }
    this.parallel = this.wanted.parallel;
    this.without.set(item, reasonOf(death, this.limits));
    if (this.without.size <= MOST_GRIEFS) return;
    const [first] = this.without;
    throw new DatasetRefused(
      `${this.without.size} of its files cannot be read without harm, the first of them ${first![0]}, which ${first![1]}`,
    );
  }
}

function unknown(message: never): never {
  throw new Error(`a reader says ${JSON.stringify(message satisfies FromReader)}`);
}
