import { closeSync, fstatSync, openSync, renameSync, writeSync } from 'node:fs';

/** Of those who may read it: its user alone. */
const PRIVATE = 0o600;
const ROTATE_BYTES = 16 * 1024 * 1024;

/**
 * A log that is appended to, with the one before it beside it: never more than twice its size. A disk that is full
 * costs what could not be written; once there is room, the log goes on.
 */
export class LogFile {
  private fd?: number;
  private size = 0;
  private broken = false;

  /** @param onTrouble told once when it cannot be written, and again only after it could */
  constructor(
    readonly path: string,
    private readonly onTrouble: (text: string) => void,
    private readonly rotateBytes = ROTATE_BYTES,
  ) {}

  write(text: string): void {
    try {
      this.open();
      const bytes = Buffer.from(text);
      writeSync(this.fd!, bytes);
      this.size += bytes.length;
      this.broken = false;
    } catch (error) {
      if (!this.broken) this.onTrouble(`${this.path} cannot be written: ${(error as Error).message}`);
      this.broken = true;
    }
  }

  end(): void {
    if (this.fd !== undefined) closeSync(this.fd);
    this.fd = undefined;
  }

  private open(): void {
    if (this.fd !== undefined && this.size < this.rotateBytes) return;
    this.fd ??= openSync(this.path, 'a', PRIVATE);
    this.size = fstatSync(this.fd).size;
    if (this.size < this.rotateBytes) return;
    this.end();
    renameSync(this.path, `${this.path}.old`);
    this.fd = openSync(this.path, 'a', PRIVATE);
    this.size = 0;
  }
}
