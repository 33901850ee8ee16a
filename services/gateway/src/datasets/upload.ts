import type { IncomingMessage } from 'node:http';
import { pipeline, type Readable, Transform } from 'node:stream';
import busboy from 'busboy';
import { AtelierError } from '@atelier/contracts';
import type { UploadFile } from '@atelier/client';
import type { GatewayConfig } from '../gateway.config';
import { PayloadTooLarge } from '../http-error';
import { FileQueue } from './file-queue';

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
  abandon(error: Error): Error;
}

/** How long a client that was refused may go on sending before the connection is cut; many read the answer only at the end. */
const DRAIN_MS = 5000;

/**
 * Reads a multipart form as it arrives and holds no file in memory. It resolves at the first file, when the fields are known.
 * A form over a limit ends the files with PayloadTooLarge; a connection that breaks ends them with CANCELLED.
 */
export function readUpload(request: IncomingMessage, limits: Limits): Promise<Upload> {
  const announced = Number(request.headers['content-length'] ?? 0);
  if (announced > limits.uploadTotalLimit) throw tooLarge(`this upload of ${mebibytes(announced)}`, limits);
  const parser = openParser(request, limits);
  const fields: Record<string, string> = {};
  const queue = new FileQueue<UploadFile>();
  let total = 0;

  return new Promise((resolve, reject) => {
    const release = (): void => {
      request.unpipe(parser);
      request.resume();
      if (!request.readableEnded) setTimeout(() => request.readableEnded || request.destroy(), DRAIN_MS).unref();
    };
    const ready = (): void => resolve({ fields, files: queue, abandon });
    const abandon = (error: Error): Error => {
      release();
      return queue.failure ?? error;
    };
    const fail = (error: Error): void => {
      queue.fail(error);
      reject(error); // counts only if no file has come yet
      release();
    };
    parser.on('field', (name, value, { nameTruncated, valueTruncated }) => {
      if (nameTruncated || valueTruncated) return fail(new PayloadTooLarge(`form field ${name.slice(0, 40)} is over 64 KiB`));
      if (queue.started) return fail(new AtelierError('INVALID_ARGUMENT', `form field ${name.slice(0, 40)} comes after the files: send the fields first`));
      fields[name] = value;
    });
    parser.on('file', (_field, stream, { filename }) => {
      const name = safeFileName(filename ?? '');
      if (name === '') return void stream.resume(); // a form sends an empty part for a file input with nothing chosen
      queue.push({ name, data: limited(stream, name) });
      ready();
    });
    parser.on('filesLimit', () => fail(new PayloadTooLarge(`this upload has more than ${limits.uploadFileCount} files: send a .zip, a .tar or a .parquet instead`)));
    parser.on('fieldsLimit', () => fail(new PayloadTooLarge('this form has more than 32 fields')));

    /** The file's bytes; over a limit it breaks off, so that nobody takes the part that came for the whole. */
    const limited = (stream: Readable, name: string): Readable => {
      let size = 0;
      const bytes = new Transform({
        transform(chunk: Buffer, _encoding, done) {
          size += chunk.length;
          total += chunk.length;
          if (size > limits.uploadFileLimit) done(new PayloadTooLarge(`${name} is over the limit of ${mebibytes(limits.uploadFileLimit)} a file: make it smaller, or raise ATELIER_UPLOAD_FILE_MIB`));
          else if (total > limits.uploadTotalLimit) done(tooLarge('this upload', limits));
          else done(null, chunk);
        },
      });
      // A file whose turn has not come has no reader yet to hear of the failure, and an error that nobody hears ends the process.
      bytes.on('error', () => undefined);
      queue.onFail((error) => bytes.destroy(error));
      pipeline(stream, bytes, (error) => error && fail(broken(error)));
      return bytes;
    };

    pipeline(request, parser, (error) => {
      if (error) return fail(broken(error));
      queue.end();
      ready();
    });
  });
}

function openParser(request: IncomingMessage, limits: Limits): busboy.Busboy {
  try {
    return busboy({
      headers: request.headers,
      defParamCharset: 'utf8',
      preservePath: true,
      limits: { files: limits.uploadFileCount, fields: 32, fieldSize: 64 * 1024, fieldNameSize: 100, headerPairs: 50 },
    });
  } catch (error) {
    throw new AtelierError('INVALID_ARGUMENT', `this is not an upload (${(error as Error).message}): send multipart/form-data with fields and files`);
  }
}

function broken(error: NodeJS.ErrnoException): Error {
  if (error instanceof AtelierError) return error;
  if (error.code === 'ERR_STREAM_PREMATURE_CLOSE' || error.code === 'ECONNRESET') {
    return new AtelierError('CANCELLED', 'the connection closed in the middle of the upload: nothing of it was kept');
  }
  return new AtelierError('INVALID_ARGUMENT', `the form cannot be read (${error.message}): nothing of it was kept`);
}

function tooLarge(what: string, limits: Limits): PayloadTooLarge {
  return new PayloadTooLarge(`${what} is over the limit of ${mebibytes(limits.uploadTotalLimit)}: send fewer or smaller files`);
}

const mebibytes = (bytes: number): string => `${Math.ceil((bytes / 1024 / 1024) * 10) / 10} MiB`;

/** A label of the path a browser or curl names: relative, with no way up and nothing that does not print. */
export function safeFileName(path: string): string {
  return path
    .split(/[/\\]/)
    // eslint-disable-next-line no-control-regex
    .map((part) => part.replace(/[\u0000-\u001f\u007f]/g, '').trim())
    .filter((part) => part !== '' && part !== '.' && part !== '..' && !/^[A-Za-z]:$/.test(part))
    .join('/')
    .slice(-255);
}
