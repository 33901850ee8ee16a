import { createLogger, loadConfig, Mesh, nestLogger, provisionMesh, runUntilSignal, serveHealth } from '@atelier/mesh';
import { Registry } from 'prom-client';
import { createGateway } from './app';
import { GatewayConfig, gatewaySettings } from './gateway.config';

/**
 * How long a connection that nobody uses stays open. Proxies and clients keep theirs for about a minute: one that is
 * closed here in the moment in which they send on it costs them the request.
 */
const KEPT_ALIVE_MS = 75_000;

void runUntilSignal(async () => {
  const config = new GatewayConfig(loadConfig(gatewaySettings));
  const logger = createLogger('gateway', config.logLevel);
  const mesh = await Mesh.connect({ url: config.natsUrl, name: 'gateway' });
  await provisionMesh(mesh, { replicas: config.replicas });
  const app = await createGateway(config, mesh, nestLogger(logger));
  app.getHttpServer().keepAliveTimeout = KEPT_ALIVE_MS;
  await app.listen(config.port, config.host);
  const health =
    config.healthPort === undefined ? undefined : await serveHealth(mesh, app.get(Registry), config.healthPort);
  logger.info({ url: await app.getUrl(), token: config.apiToken !== undefined }, 'ready');
  if (config.apiToken === undefined && !['127.0.0.1', '::1', 'localhost'].includes(config.host)) {
    logger.warn('anyone who reaches this address may use it: set ATELIER_API_TOKEN');
  }
  const stop = async (): Promise<void> => {
    const server = app.getHttpServer();
    // A connection that was busy when the server closed is kept alive after its answer; nothing more will come on it.
    setInterval(() => server.closeIdleConnections(), 50).unref();
    setTimeout(() => server.closeAllConnections(), config.graceMs).unref();
    health?.close();
    await app.close();
    await mesh.close();
  };
  return { stop };
}, 'gateway');
