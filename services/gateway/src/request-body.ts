import type { IncomingMessage } from 'node:http';
import { finished, Transform, type Readable } from 'node:stream';
import { AtelierError } from '@atelier/contracts';
import type { PayloadTooLarge } from './http-error';

export interface RequestBody {
  /** The bytes as they are asked for. They end with the refusal over the limit, with CANCELLED when the client leaves. */
  bytes: Readable;
  /** Lets go of what has not been read, so that the answer can be seen; the connection closes after a moment. */
  release: () => void;
}

/** How long a client that was refused may go on sending before it is cut off; many read the answer only at the end. */
const DRAIN_MS = 5000;

/**
 * The body of a request, up to a limit in bytes. It is not the request itself, since an iteration that is given up
 * destroys what it iterates over, and with the request would go the connection that the answer is for. `tooLarge` gets
 * the size that was announced, where it was.
 */
export function openBody(
  request: IncomingMessage,
  limit: number,
  tooLarge: (announced?: number) => PayloadTooLarge,
): RequestBody {
  let size = 0;
  const bytes = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      size += chunk.length;
      if (size > limit) done(tooLarge());
      else done(null, chunk);
    },
  });
  // It may fail while nobody reads it, between two files for instance: its next reader is told, nobody else has to be.
  bytes.on('error', () => undefined);
  finished(request, { writable: false }, (error) => {
    if (!error) return;
    bytes.destroy(new AtelierError('CANCELLED', 'the connection closed before all was sent: nothing of it was kept'));
  });
  const release = (): void => {
    bytes.destroy();
    request.unpipe(bytes);
    request.resume();
    if (!request.readableEnded) setTimeout(() => request.readableEnded || request.destroy(), DRAIN_MS).unref();
  };
  const announced = Number(request.headers['content-length'] ?? 0);
  if (announced > limit) {
    release();
    throw tooLarge(announced);
  }
  request.pipe(bytes);
  return { bytes, release };
}
