import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { AtelierError } from '@atelier/contracts';
import type { UploadFile } from '@atelier/client';
import type { GatewayConfig } from '../gateway.config';
import { PayloadTooLarge } from '../http-error';
import { bodyDigest } from '../idempotency/key';
import { openBody } from '../request-body';
import { FormReader, type FormPart } from './form-reader';

type Limits = Pick<GatewayConfig, 'uploadFileLimit' | 'uploadTotalLimit' | 'uploadFileCount'>;

export interface Upload {
  /** The form's fields, which must come before its files. */
  fields: Record<string, string>;
  /** The files, one at a time as they come in: the next arrives when the last has been read. */
  files: AsyncIterable<UploadFile>;
  /**
   * Lets go of what has not been read, when its reader failed; the connection closes, at the latest, after a moment.
   * Gives the cause: the form's own failure, where the reader only saw that its stream broke off.
   */
  abandon: (error: Error) => Error;
}

const FIELD_LIMIT = 64 * 1024;
const FIELD_COUNT = 32;

/**
 * Reads a multipart form as it arrives and holds no file in memory. It resolves at the first file, when the fields are
 * known. A form over a limit ends the files with PayloadTooLarge; a connection that breaks ends them with CANCELLED.
 */
export async function readUpload(request: IncomingMessage, limits: Limits): Promise<Upload> {
  const { bytes, release } = openBody(request, limits.uploadTotalLimit, (size) =>
    tooLarge(size === undefined ? 'this upload' : `this upload of ${mebibytes(size)}`, limits),
  );
  let failure: Error | undefined;
  const abandon = (error: Error): Error => {
    release();
    return failure ?? error;
  };
  const fail = (error: unknown): Error => abandon((failure ??= error as Error));
  try {
    const form = new UploadForm(
      new FormReader(bytes, request.headers['content-type'], bodyDigest(request)),
      limits,
      fail,
    );
    const first = await form.nextFile();
    return { fields: form.fields, files: form.files(first), abandon };
  } catch (error) {
    throw fail(error);
  }
}

class UploadForm {
  /** No object of the language's own, so that a field may have any name. */
  readonly fields = Object.create(null) as Record<string, string>;
  private fieldCount = 0;
  private fileCount = 0;

  constructor(
    private readonly reader: FormReader,
    private readonly limits: Limits,
    private readonly fail: (error: unknown) => Error,
  ) {}

  async *files(first: UploadFile | undefined): AsyncGenerator<UploadFile> {
    try {
      for (let file = first; file; file = await this.nextFile()) yield file;
    } catch (error) {
      throw this.fail(error);
    }
  }

  /** Takes in the fields on the way to it. */
  async nextFile(): Promise<UploadFile | undefined> {
    for (let part = await this.reader.next(); part; part = await this.reader.next()) {
      if (part.fileName === undefined) await this.takeField(part);
      else {
        const file = await this.openFile(part, part.fileName);
        if (file) return file;
      }
    }
    return undefined;
  }

  private async takeField({ name, data }: FormPart): Promise<void> {
    const label = `form field ${JSON.stringify(name.slice(0, 40))}`;
    if (this.fileCount > 0)
      throw new AtelierError('INVALID_ARGUMENT', `${label} comes after the files: send the fields first`);
    if (++this.fieldCount > FIELD_COUNT) throw new PayloadTooLarge(`this form has more than ${FIELD_COUNT} fields`);
    const pieces: Buffer[] = [];
    let size = Buffer.byteLength(name);
    for await (const piece of data) {
      size += piece.length;
      if (size > FIELD_LIMIT) break;
      pieces.push(piece);
    }
    if (size > FIELD_LIMIT) throw new PayloadTooLarge(`${label} is over ${FIELD_LIMIT / 1024} KiB`);
    this.fields[name] = Buffer.concat(pieces).toString();
  }

  /** Undefined for the empty part that a browser sends for a file input with nothing chosen. */
  private async openFile({ data }: FormPart, fileName: string): Promise<UploadFile | undefined> {
    const { uploadFileCount } = this.limits;
    if (++this.fileCount > uploadFileCount)
      throw new PayloadTooLarge(
        `this upload has more than ${uploadFileCount} files: send a .zip, a .tar or a .parquet instead`,
      );
    const name = safeFileName(fileName);
    if (name === '') {
      if ((await data.next()).done) return undefined;
      throw new AtelierError(
        'INVALID_ARGUMENT',
        `file ${this.fileCount} of this upload is named ${JSON.stringify(fileName.slice(0, 40))}: give it a name`,
      );
    }
    const stream = Readable.from(this.limited(data, name), { objectMode: false });
    // It may fail before its reader listens; that one sees it all the same. An error that nobody hears would end the
    // process.
    stream.on('error', () => undefined);
    return { name, data: stream };
  }

  /** The file's bytes; over a limit it breaks off, so that nobody takes the part that came for the whole. */
  private async *limited(data: AsyncGenerator<Buffer>, name: string): AsyncGenerator<Buffer> {
    const { uploadFileLimit } = this.limits;
    let size = 0;
    try {
      for await (const piece of data) {
        size += piece.length;
        if (size > uploadFileLimit)
          throw new PayloadTooLarge(
            `${name} is over the limit of ${mebibytes(uploadFileLimit)} a file: make it smaller, or raise ` +
              'ATELIER_UPLOAD_FILE_MIB',
          );
        yield piece;
      }
    } catch (error) {
      throw this.fail(error);
    }
  }
}

function tooLarge(what: string, limits: Limits): PayloadTooLarge {
  return new PayloadTooLarge(
    `${what} is over the limit of ${mebibytes(limits.uploadTotalLimit)}: send fewer or smaller files`,
  );
}

const mebibytes = (bytes: number): string => `${Math.ceil((bytes / 1024 / 1024) * 10) / 10} MiB`;

/** A label of the path a browser or curl names: relative, with no way up and nothing that does not print. */
export function safeFileName(path: string): string {
  return (
    path
      .split(/[/\\]/)
      // eslint-disable-next-line no-control-regex
      .map((part) => part.replace(/[\u0000-\u001f\u007f]/g, '').trim())
      .filter((part) => part !== '' && part !== '.' && part !== '..' && !/^[A-Za-z]:$/.test(part))
      .join('/')
      .slice(-255)
  );
}
