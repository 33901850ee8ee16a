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
  /** Largest row group of a parquet file, bytes in memory. */
  readonly rowGroupBytes: number;
  /** All that one dataset's archives may unpack to, bytes. */
  readonly unpackedBytes: number;
  /** Files in one dataset, those inside archives counted. */
  readonly files: number;
  /** Pixels of one picture before it is resized. */
  readonly pixels: number;
}

/** What a dataset's archives may still unpack: shared by all that are kept, so that ten large ones are no better than one. */
export class UnpackBudget {
  private bytes: number;
  private files: number;

  constructor(private readonly limits: Limits) {
    this.bytes = limits.unpackedBytes;
    this.files = limits.files;
  }

  takeBytes(bytes: number): void {
    this.bytes -= bytes;
    if (this.bytes < 0) {
      throw new BadFile(`unpacks to more than the ${formatBytes(this.limits.unpackedBytes)} one dataset may hold: split it`);
    }
  }

  /** Runs `work`, which takes from the budget; gives back what it took when it fails, since what it unpacked is not kept. */
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
