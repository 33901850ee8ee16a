import { createServer, type Server } from 'node:http';
import { AtelierError } from '@atelier/contracts';
import { answerProbes, type Probed } from '@atelier/mesh';
import { httpError } from './http-error';

const PROBES = new Set(['/livez', '/readyz', '/healthz']);

/**
 * Answers on the gateway's address until nats-server is there: probes hear that it lives and waits, everybody else is
 * told to come back.
 */
export async function openWaitingRoom(probed: Probed, port: number, host: string): Promise<Server> {
  const probes = answerProbes(probed);
  const server = createServer((request, response) => {
    if (PROBES.has(request.url?.split('?')[0] ?? '')) return probes(request, response);
    const waits = new AtelierError(
      'UNAVAILABLE',
      `the gateway starts, and waits for nats-server (${probed.waitsFor() || 'connecting'}): try again in a few seconds`,
    );
    const { status, body } = httpError(waits, '');
    response
      .writeHead(status, { 'content-type': 'application/json; charset=utf-8', 'retry-after': '5' })
      .end(JSON.stringify(body));
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, host, resolve));
  return server;
}

/** Resolves when its address is free. */
export async function closeWaitingRoom(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeAllConnections();
  await closed;
}
