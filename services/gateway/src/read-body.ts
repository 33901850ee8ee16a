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
    const chunks: Buffer[] = [];
    for await (const chunk of bytes as AsyncIterable<Buffer>) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    bodyDigest(request)?.update(body);
    return body;
  } catch (error) {
    release();
    throw error;
  }
}
