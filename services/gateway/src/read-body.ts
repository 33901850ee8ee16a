import type { Request } from 'express';
import { AtelierError } from '@atelier/contracts';
import { PayloadTooLarge } from './http-error';
import { bodyDigest } from './idempotency/key';
import { openBody } from './request-body';

/** A body that is needed whole, up to a limit in bytes. */
export async function readBody(request: Request, limit: number): Promise<Buffer> {
  if (request.readableEnded) {
    throw new AtelierError('INVALID_ARGUMENT', 'send the file itself with content-type application/octet-stream');
  }
  const { bytes, release } = openBody(
    request,
    limit,
    () => new PayloadTooLarge(`the body is over the limit of ${Math.floor(limit / 1024 / 1024)} MiB`),
  );
  try {
    // Into its place at once: pieces that are joined at the end are there twice. Of what no length is known for, memory
    // is only set aside, and taken as it is written.
    const whole = Buffer.allocUnsafeSlow(Number(request.headers['content-length'] ?? limit));
    let size = 0;
    for await (const chunk of bytes as AsyncIterable<Buffer>) size += chunk.copy(whole, size);
    const body = whole.subarray(0, size);
    bodyDigest(request)?.update(body);
    return body;
  } catch (error) {
    release();
    throw error;
  }
}
