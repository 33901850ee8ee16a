import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import type { Response } from 'express';

/** Sends bytes as they come; a source that fails in the middle breaks the connection, so that nobody takes the part for the whole. */
export async function sendFile(
  response: Response,
  data: Readable | Uint8Array,
  { type, attachment, cache }: { type: string; attachment?: string; cache?: string },
): Promise<void> {
  response.setHeader('content-type', type);
  if (cache) response.setHeader('cache-control', cache);
  if (attachment) response.setHeader('content-disposition', `attachment; filename="${attachment}"`);
  if (data instanceof Uint8Array) {
    response.end(data);
    return;
  }
  try {
    await pipeline(data, response);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_STREAM_PREMATURE_CLOSE') throw error; // the client left: nobody to tell
  }
}
