import { createServer, type Server } from 'node:http';
import { collectDefaultMetrics, Registry } from 'prom-client';
import type { Mesh } from './mesh';

/** GET /healthz: 200 while the mesh answers, else 503. GET /metrics: Prometheus text. */
export async function serveHealth(mesh: Mesh, registry: Registry, port: number): Promise<Server> {
  const server = createServer((request, response) => {
    const answer = (status: number, body: string, type = 'text/plain'): void => void response.writeHead(status, { 'content-type': type }).end(body);
    if (request.url === '/healthz') {
      mesh.nc.rtt().then(() => answer(200, 'ok\n'), (error: Error) => answer(503, `the mesh does not answer: ${error.message}\n`));
    } else if (request.url === '/metrics') {
      registry.metrics().then((text) => answer(200, text, registry.contentType), (error: Error) => answer(500, `${error.message}\n`));
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
