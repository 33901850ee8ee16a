import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { LoggerService } from '@nestjs/common';
import type { Mesh, Registry } from '@atelier/mesh';
import type { NextFunction, Request, Response } from 'express';
import type { GatewayConfig } from './gateway.config';
import { limitConnections } from './access/connections';
import { movingBodiesOnly } from './access/moving-bodies';
import { GatewayModule } from './gateway.module';
import { knownHostsOnly } from './known-hosts';
import { traceRequests } from './request-trace';

/** The gateway, ready to listen. It uses the connection to NATS that it is given and does not close it. */
export async function createGateway(
  config: GatewayConfig,
  mesh: Mesh,
  { logger, registry }: { logger?: LoggerService; registry?: Registry } = {},
): Promise<NestExpressApplication> {
  const app = await NestFactory.create<NestExpressApplication>(GatewayModule.with(config, mesh, registry), {
    bodyParser: false,
    abortOnError: false,
    logger: logger ?? ['error', 'warn'],
  });
  app.disable('x-powered-by');
  app.disable('etag');
  app.use(traceRequests);
  app.use(securityHeaders);
  app.use(knownHostsOnly(config)); // before the page's files and CORS, which ask nobody
  app.use(movingBodiesOnly(config.bodyIdleMs));
  if (config.corsOrigins.length > 0)
    app.enableCors({ origin: config.corsOrigins, allowedHeaders: ALLOWED_HEADERS, exposedHeaders: EXPOSED_HEADERS });
  app.useBodyParser('json', { limit: '1mb', strict: true });
  app.useStaticAssets(config.studioFolder, { index: 'index.html', redirect: false });
  limitConnections(app.getHttpServer(), config.connections);
  return app;
}

const ALLOWED_HEADERS = [
  'authorization',
  'content-type',
  'idempotency-key',
  'last-event-id',
  'prefer',
  'traceparent',
  'tracestate',
];
const EXPOSED_HEADERS = ['idempotent-replayed', 'location', 'retry-after', 'x-atelier-generation'];

const SECURITY_HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer', // a token may be in the address
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
};

function securityHeaders(_request: Request, response: Response, next: NextFunction): void {
  response.set(SECURITY_HEADERS);
  next();
}
