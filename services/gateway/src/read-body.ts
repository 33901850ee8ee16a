import type { Request } from 'express';
import { AtelierError } from '@atelier/contracts';
import { PayloadTooLarge } from './http-error';

/** A body that is needed whole, up to a limit in bytes. */
export async function readBody(request: Request, limit: number): Promise<Buffer> {
  const refuse = (): PayloadTooLarge => new PayloadTooLarge(`the body is over the limit of ${Math.floor(limit / 1024 / 1024)} MiB`);
  if (Number(request.headers['content-length'] ?? 0) > limit) throw refuse();
  if (request.readableEnded) {
    throw new AtelierError('INVALID_ARGUMENT', 'send the file itself with content-type application/octet-stream');
  }
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > limit) throw refuse();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, size);
}
