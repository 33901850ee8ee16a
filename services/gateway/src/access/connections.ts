import type { Server } from 'node:http';
import { Logger } from '@nestjs/common';

/** How long the head of a request may take to come. Node looks every 30 seconds. */
const HEAD_MS = 20_000;
const SAY_MS = 60_000;

/** Bounds what clients that send nothing, or never end what they send, can hold of a server. */
export function limitConnections(server: Server, most: number): void {
  server.headersTimeout = HEAD_MS;
  // Node gives a whole request 5 minutes; a folder of pictures over a slow line takes longer. Bodies that stop coming
  // are ended by movingBodiesOnly.
  server.requestTimeout = 0;
  server.maxConnections = most;
  let saidAt = -Infinity;
  server.on('drop', () => {
    if (performance.now() - saidAt < SAY_MS) return;
    saidAt = performance.now();
    new Logger('gateway').warn(`${most} connections are open: more are closed as they come (ATELIER_CONNECTIONS)`);
  });
}
