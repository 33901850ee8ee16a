import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { Registry } from 'prom-client';
import { meshHealth } from './health';
import type { Mesh } from './mesh';
import type { Readiness } from './readiness';
import { describeStore, isFull } from './store-room';
import { within } from './within';

/** What a service needs may lie on a disk that does not answer. */
const NEEDS_MS = 1500;

export interface Probed {
  /** Undefined until nats-server is there. */
  mesh(): Mesh | undefined;
  /** Why not, meanwhile. */
  waitsFor(): string;
  /** None: it needs nothing but the mesh. */
  readiness?: Readiness;
  registry?: Registry;
}

/**
 * What whoever looks after a service asks it over HTTP, from the moment it starts:
 * /livez: 200 while its event loop turns, whatever else is wrong, since a restart mends nothing else.
 * /readyz: 200 while it can do its work, else 503 with the reasons: nats-server with JetStream answers, and what it needs
 * is there. A full store is said beside the 200: what is there can still be read and cleared.
 * /healthz: the mesh alone, as versions before had it.
 * /metrics: Prometheus text.
 */
export function answerProbes(probed: Probed): RequestListener {
  return (request, response) => {
    const path = request.url?.split('?')[0];
    if (path === '/livez') return text(response, 200, 'ok\n');
    if (path === '/readyz') return void mesh(probed).then((found) => ready(response, found, probed));
    if (path === '/healthz') return void mesh(probed).then((found) => told(response, found, []));
    if (path === '/metrics' && probed.registry) return metrics(response, probed.registry);
    return text(response, 404, 'there is /livez, /readyz, /healthz and /metrics\n');
  };
}

/** Resolves when it listens. */
export async function serveProbes(probed: Probed, port: number, host?: string): Promise<Server> {
  const server = createServer(answerProbes(probed));
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, host, resolve));
  return server;
}

interface Found {
  /** Why the mesh cannot be used; empty where it can. */
  away: string;
  /** What there is to say of its store. */
  full: string;
}

async function mesh(probed: Probed): Promise<Found> {
  const there = probed.mesh();
  if (!there) return { away: `nats-server was not reached yet: ${probed.waitsFor() || 'connecting'}`, full: '' };
  const { connected, reason, store } = await meshHealth(there);
  if (!connected) return { away: `the mesh does not answer: ${reason}`, full: '' };
  return { away: '', full: store && isFull(store) ? `, but the store is full: ${describeStore(store)}` : '' };
}

async function ready(response: ServerResponse, found: Found, { readiness }: Probed): Promise<void> {
  const needs = readiness?.unmet() ?? Promise.resolve([]);
  const unmet = await within(NEEDS_MS, 'what it needs', needs).catch((error: Error) => [error.message]);
  told(response, found, unmet);
}

function told(response: ServerResponse, { away, full }: Found, unmet: string[]): void {
  const reasons = [away, ...unmet].filter(Boolean);
  if (reasons.length > 0) return text(response, 503, `${reasons.join('\n')}\n`);
  text(response, 200, `ok${full}\n`);
}

function metrics(response: ServerResponse, registry: Registry): void {
  registry.metrics().then(
    (figures) => text(response, 200, figures, registry.contentType),
    (error: Error) => text(response, 500, `${error.message}\n`),
  );
}

function text(response: ServerResponse, status: number, body: string, type = 'text/plain'): void {
  response.writeHead(status, { 'content-type': type }).end(body);
}
