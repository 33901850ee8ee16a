import { BadFile } from './bad-file';
import { formatBytes } from './format-bytes';

/** How much of a person's input is taken; every reader keeps within it however the input is packed. */
export interface Limits {
  /** Largest single picture file, bytes. */
  readonly pictureBytes: number;
  /** Largest caption, bytes. */
  readonly captionBytes: number;
  /** Largest metadata.jsonl, bytes. */
  readonly metadataBytes: number;
  /** Most lines that are read of a metadata.jsonl, empty ones counted. */
  readonly metadataLines: number;
  /** Longest line of a metadata.jsonl, characters. */
  readonly lineLength: number;
  /** Bad lines and missing pictures that are listed one by one. */
  readonly listed: number;
  /** Largest row group of a parquet file, bytes in memory. */
  readonly rowGroupBytes: number;
  /** All that one dataset's archives may unpack to, bytes. */
  readonly unpackedBytes: number;
  /** How many times its own size an archive may unpack to, once that is more than UNPACKED_FREELY. */
  readonly unpackRatio: number;
  /** Files in one dataset, those inside archives counted. */
  readonly files: number;
  /** Pixels of one picture before it is resized. */
  readonly pixels: number;
}

/** An archive that unpacks to no more than this may be packed as well as it likes: drawings and captions can be. */
export const UNPACKED_FREELY = 256 * 2 ** 20;

/** What one archive takes from the data set's budget. */
export interface ArchiveBudget {
  takeBytes(bytes: number): void;
  takeFile(): void;
  /** How many bytes may still be taken. */
  left(): number;
}

/**
 * What a dataset's archives may still unpack: shared by all that are kept, so that ten large ones are no better than
 * one.
 */
export class UnpackBudget {
  private bytes: number;
  private files: number;

  constructor(private readonly limits: Limits) {
    this.bytes = limits.unpackedBytes;
    this.files = limits.files;
  }

  /**
   * The part that an archive of this size may have: pictures hardly shrink, so one that unpacks to a hundred times its
   * size is a bomb.
   */
  archive(size: number): ArchiveBudget {
    const allowed = Math.max(UNPACKED_FREELY, size * this.limits.unpackRatio);
    let left = allowed;
    return {
      left: () => Math.min(left, this.bytes),
      takeFile: () => this.takeFile(),
      takeBytes: (bytes) => {
        this.takeBytes(bytes);
        left -= bytes;
        if (left >= 0) return;
        const times = `${this.limits.unpackRatio} times its size`;
        throw new BadFile(
          `unpacks to more than ${formatBytes(allowed)}, ${times}: hand in what it holds unpacked, or raise ATELIER_INGEST_MAX_UNPACK_RATIO`,
        );
      },
    };
  }

  takeBytes(bytes: number): void {
    this.bytes -= bytes;
    if (this.bytes < 0) {
      throw new BadFile(
        `unpacks to more than the ${formatBytes(this.limits.unpackedBytes)} one dataset may hold: split it`,
      );
    }
  }

  /**
   * Runs `work`, which takes from the budget; gives back what it took when it fails, since what it unpacked is not
   * kept.
   */
  async spend<T>(work: () => Promise<T>): Promise<T> {
    const { bytes, files } = this;
    try {
      return await work();
    } catch (error) {
      Object.assign(this, { bytes, files });
      throw error;
    }
  }

  takeFile(): void {
    this.files -= 1;
    if (this.files < 0) throw new BadFile(`holds more than the ${this.limits.files} files one dataset may have`);
  }
}
