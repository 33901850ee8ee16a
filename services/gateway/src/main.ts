import type { Server } from 'node:http';
import { createLogger, loadConfig, Mesh, nestLogger, provisionMesh, runUntilSignal } from '@atelier/mesh';
import { createGateway } from './app';
import { GatewayConfig, gatewaySettings } from './gateway.config';

/** How long requests in hand may go on once the gateway is asked to stop. */
const DRAIN_MS = 5000;

void runUntilSignal(async () => {
  const config = new GatewayConfig(loadConfig(gatewaySettings));
  const logger = createLogger('gateway');
  const mesh = await Mesh.connect({ url: config.natsUrl, name: 'gateway' });
  await provisionMesh(mesh);
  const app = await createGateway(config, mesh, nestLogger(logger));
  await app.listen(config.port, config.host);
  logger.info({ url: await app.getUrl(), token: config.apiToken !== undefined }, 'the gateway is open');
  if (config.apiToken === undefined && !['127.0.0.1', '::1', 'localhost'].includes(config.host)) {
    logger.warn('anyone who reaches this address may use it: set ATELIER_API_TOKEN');
  }
  const stop = async (): Promise<void> => {
    const server = app.getHttpServer() as Server;
    setTimeout(() => server.closeAllConnections(), DRAIN_MS).unref();
    await app.close();
    await mesh.close();
  };
  return { stop };
}, 'gateway');
