import { AtelierError } from '@atelier/contracts';
import type { RequestHandler } from 'express';
import { httpError } from '../http-error';

/** Of a body, in each time that it may be idle: less is a client that keeps a connection busy, not one on a slow line. */
const LEAST_BYTES = 1024;

/**
 * Ends requests whose body stops coming. A limit of the whole time would end an upload of many hours that goes on as it
 * should; and a body that waits because we do not read it, as while NATS is slow, is none of its sender's fault. What
 * was answered before its body came, with a refusal mostly, is watched to the body's end too: Node reads that on.
 */
export function movingBodiesOnly(idleMs: number): RequestHandler {
  return (request, response, next) => {
    const { 'content-length': length, 'transfer-encoding': encoding } = request.headers;
    if (encoding !== undefined || Number(length) > 0) {
      let before = request.socket.bytesRead;
      const watch = setInterval(() => {
        const { bytesRead } = request.socket;
        if (request.complete || request.destroyed) return clearInterval(watch);
        if (request.readableLength > 0 || bytesRead - before >= LEAST_BYTES) return (before = bytesRead);
        clearInterval(watch);
        if (response.headersSent) return request.destroy();
        const seconds = Math.round(idleMs / 1000);
        const error = new AtelierError(
          'DEADLINE_EXCEEDED',
          `the body stopped coming: less than ${LEAST_BYTES} bytes of it came in ${seconds} s. Send it again`,
        );
        response.once('close', () => request.destroy());
        return response.status(408).set('connection', 'close').json(httpError(error, '').body);
      }, idleMs).unref();
    }
    next();
  };
}
