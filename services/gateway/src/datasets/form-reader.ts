import type { Hash } from 'node:crypto';
import { formBoundary, malformed, partHeaders, type PartHeaders } from './form-headers';

export interface FormPart extends PartHeaders {
  /** What it holds, as it is asked for. What has not been read when the next part is asked for is passed over. */
  data: AsyncGenerator<Buffer>;
}

const CRLF = Buffer.from('\r\n');
const BLANK_LINE = Buffer.from('\r\n\r\n');
/** As Node has it for a request's own headers. */
const HEADERS_LIMIT = 16 * 1024;

/**
 * Reads multipart/form-data (RFC 7578) part by part. It is pulled: it has no streams and no events of its own, so that
 * a part which nobody waits for cannot fail unheard, and it reads on only when it is asked. It is strict: a part that
 * would be passed over or guessed at is refused. (docs/decisions/0022)
 */
export class FormReader {
  private readonly source: AsyncIterator<Buffer>;
  private readonly delimiter: Buffer;
  /** What has come and is not given out. The first boundary may stand at the very start, without its line break. */
  private held: Buffer = CRLF;
  /** What was read last was a boundary. */
  private atBoundary = false;
  private count = 0;
  /** Bytes of the part that is read. */
  private size = 0;

  /** @param digest gets the parts' names and bytes, in which no boundary is */
  constructor(
    source: AsyncIterable<Buffer>,
    contentType: string | undefined,
    private readonly digest?: Hash,
  ) {
    this.delimiter = Buffer.from(`\r\n--${formBoundary(contentType)}`, 'latin1');
    this.source = source[Symbol.asyncIterator]();
  }

  /** The next part; undefined when the form is over and the source has been read to its end. */
  async next(): Promise<FormPart | undefined> {
    while (await this.piece()); // what nobody read: of the part before, or in front of the first
    while (this.held.length < 2) await this.more();
    this.digest?.update(JSON.stringify(this.size));
    if (this.held.toString('latin1', 0, 2) === '--') return this.end();
    this.count++;
    this.size = 0;
    const headers = partHeaders(this.count, await this.head());
    this.digest?.update(JSON.stringify(headers));
    this.atBoundary = false;
    return { ...headers, data: this.data() };
  }

  private async *data(): AsyncGenerator<Buffer> {
    for (let piece = await this.piece(); piece; piece = await this.piece()) yield piece;
  }

  /** Some bytes in front of the next boundary; undefined when that one comes now. */
  private async piece(): Promise<Buffer | undefined> {
    while (!this.atBoundary) {
      const at = this.held.indexOf(this.delimiter);
      this.atBoundary = at >= 0;
      // Without a boundary, the last bytes may be the first ones of it.
      const length = this.atBoundary ? at : Math.max(0, this.held.length - this.delimiter.length + 1);
      const piece = this.held.subarray(0, length);
      this.held = this.held.subarray(this.atBoundary ? at + this.delimiter.length : length);
      if (length > 0 && this.count > 0) this.taken(piece);
      if (length > 0) return piece;
      if (!this.atBoundary) await this.more();
    }
    return undefined;
  }

  private taken(piece: Buffer): void {
    this.size += piece.length;
    this.digest?.update(piece);
  }

  /** The rest of the boundary's line and the headers' lines. */
  private async head(): Promise<string> {
    for (;;) {
      const at = this.held.indexOf(BLANK_LINE);
      if ((at < 0 ? this.held.length : at) > HEADERS_LIMIT) {
        throw malformed(`the headers of part ${this.count} are over ${HEADERS_LIMIT / 1024} KiB`);
      }
      if (at >= 0) {
        const head = this.held.toString('utf8', 0, at);
        this.held = this.held.subarray(at + BLANK_LINE.length);
        return head;
      }
      await this.more();
    }
  }

  /** Reads what may still come: the form of a client that is gone before its end is not accepted. */
  private async end(): Promise<undefined> {
    while (!(await this.source.next()).done);
    return undefined;
  }

  private async more(): Promise<void> {
    const next = await this.source.next();
    if (next.done) throw malformed('it ends before its last boundary');
    this.held = this.held.length === 0 ? next.value : Buffer.concat([this.held, next.value]);
  }
}
