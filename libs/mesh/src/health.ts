import { createServer, type Server } from 'node:http';
import { collectDefaultMetrics, Registry } from 'prom-client';
import type { Mesh } from './mesh';
import { describeStore, isFull, type StoreState } from './store-room';
import { within } from './within';

/** A probe's patience is a few seconds; a round trip to a server that is stopped would take a minute. */
const ANSWER_MS = 1500;

export interface MeshHealth {
  /** nats-server answers, its JetStream too. */
  connected: boolean;
  /** Why not. */
  reason: string;
  /** What the store still takes, where it could be asked. */
  store?: StoreState;
}

/**
 * How the mesh is, within two seconds whatever it does. A full store is no reason to be taken out of service: reading
 * goes on.
 */
export async function meshHealth(mesh: Mesh): Promise<MeshHealth> {
  try {
    const asked = [
      within(ANSWER_MS, 'JetStream', mesh.room.look()),
      within(ANSWER_MS, 'nats-server', mesh.nc.rtt()),
    ] as const;
    const [store] = await Promise.all(asked);
    return { connected: true, reason: '', store };
  } catch (error) {
    return { connected: false, reason: (error as Error).message };
  }
}

/**
 * GET /healthz: 200 while the mesh answers, else 503; a full store is said beside the 200. GET /metrics: Prometheus
 * text.
 */
export async function serveHealth(mesh: Mesh, registry: Registry, port: number): Promise<Server> {
  const server = createServer((request, response) => {
    const answer = (status: number, body: string, type = 'text/plain'): void =>
      void response.writeHead(status, { 'content-type': type }).end(body);
    if (request.url === '/healthz') {
      void meshHealth(mesh).then(({ connected, reason, store }) => {
        if (!connected) return answer(503, `the mesh does not answer: ${reason}\n`);
        return answer(200, store && isFull(store) ? `ok, but the store is full: ${describeStore(store)}\n` : 'ok\n');
      });
    } else if (request.url === '/metrics') {
      registry.metrics().then(
        (text) => answer(200, text, registry.contentType),
        (error: Error) => answer(500, `${error.message}\n`),
      );
    } else answer(404, 'there is /healthz and /metrics\n');
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, resolve));
  return server;
}

export function createRegistry(service: string): Registry {
  const registry = new Registry();
  registry.setDefaultLabels({ service });
  collectDefaultMetrics({ register: registry });
  return registry;
}
