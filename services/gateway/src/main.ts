import {
  createLogger,
  createRegistry,
  firstConnect,
  loadConfig,
  Mesh,
  nestLogger,
  runUntilSignal,
  serveProbes,
  startTracing,
  VERSION,
} from '@atelier/mesh';
import { Tokens } from './access/tokens';
import { createGateway } from './app';
import { GatewayConfig, gatewaySettings } from './gateway.config';
import { closeWaitingRoom, openWaitingRoom } from './waiting-room';

/**
 * How long a connection that nobody uses stays open. Proxies and clients keep theirs for about a minute: one that is
 * closed here in the moment in which they send on it costs them the request.
 */
const KEPT_ALIVE_MS = 75_000;

void runUntilSignal(async () => {
  const config = new GatewayConfig(loadConfig(gatewaySettings));
  const logger = createLogger('gateway', config.logLevel);
  const tracing = startTracing('gateway', VERSION, { logger });
  const { natsUrl: url, port, host, healthPort } = config;
  let reason = '';
  const found: { mesh?: Mesh } = {};
  const registry = createRegistry('gateway');
  const probed = { mesh: () => found.mesh, waitsFor: () => reason, registry };
  const probes = healthPort === undefined ? undefined : await serveProbes(probed, healthPort);
  const waitingRoom = await openWaitingRoom(probed, port, host);
  const { credentials, replicas } = config;
  const access = { url, name: 'gateway', user: 'gateway', credentials } as const;
  const mesh = await firstConnect(access, { logger, replicas, onWait: (why) => (reason = why) });
  found.mesh = mesh;
  const app = await createGateway(config, mesh, { logger: nestLogger(logger), registry });
  await closeWaitingRoom(waitingRoom);
  const server = app.getHttpServer();
  server.keepAliveTimeout = KEPT_ALIVE_MS;
  await app.listen(port, host);
  const { required: token } = app.get(Tokens);
  logger.info({ url: await app.getUrl(), token }, 'ready');
  if (!token && !['127.0.0.1', '::1', 'localhost'].includes(host)) {
    logger.warn('anyone who reaches this address may use it: set ATELIER_API_TOKEN or ATELIER_API_TOKENS_FILE');
  }
  const stop = async (): Promise<void> => {
    // A connection that was busy when the server closed is kept alive after its answer; nothing more will come on it.
    setInterval(() => server.closeIdleConnections(), 50).unref();
    setTimeout(() => server.closeAllConnections(), config.graceMs).unref();
    probes?.close();
    await app.close();
    await mesh.close();
    await tracing.stop();
  };
  return { stop };
}, 'gateway');
