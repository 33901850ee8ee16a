import 'reflect-metadata';
import { Module, type DynamicModule, type INestMicroservice, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Transport, type MicroserviceOptions } from '@nestjs/microservices';
import type { NatsConnection } from 'nats';
import type { Server } from 'node:http';
import { baseSettings, loadConfig } from './config';
import { createRegistry, serveHealth } from './health';
import { createLogger, nestLogger } from './logging';
import { Mesh } from './mesh';
import { MeshModule } from './mesh.module';
import { provisionMesh } from './provision';
import { ProtobufDeserializer, ProtobufSerializer } from './rpc';

@Module({})
class ServiceRoot {
  static with(imports: DynamicModule['imports']): DynamicModule {
    return { module: ServiceRoot, imports };
  }
}

export interface RunningService {
  app: INestMicroservice;
  mesh: Mesh;
  /** Takes no more work, finishes what is in hand, leaves the mesh. */
  stop(): Promise<void>;
}

/** A service on a mesh: settings, connection, streams, work handlers, calls, health. Tests use it as it is; main.ts through bootstrapService. */
export async function startService(
  module: Type | DynamicModule,
  name: string,
  env: Record<string, string | undefined> = process.env,
): Promise<RunningService> {
  const config = loadConfig(baseSettings, env);
  const logger = createLogger(name, config.ATELIER_LOG_LEVEL);
  const mesh = await Mesh.connect({ url: config.ATELIER_NATS_URL, name });
  let health: Server | undefined;
  let app: INestMicroservice | undefined;
  const stop = async (): Promise<void> => {
    health?.close();
    await app?.close();
    await mesh.close();
  };
  try {
    await provisionMesh(mesh);
    const registry = createRegistry(name);
    const root = ServiceRoot.with([MeshModule.with({ name, version: '0.1.0', mesh, logger, registry }), module]);
    app = await NestFactory.createMicroservice<MicroserviceOptions>(root, {
      transport: Transport.NATS,
      options: {
        servers: config.ATELIER_NATS_URL.split(','),
        queue: name,
        name: `${name}-rpc`,
        maxReconnectAttempts: -1,
        reconnectTimeWait: 250,
        serializer: new ProtobufSerializer(),
        deserializer: new ProtobufDeserializer(),
      },
      logger: nestLogger(logger),
      abortOnError: false,
    });
    await app.listen();
    await app.unwrap<NatsConnection>().flush(); // ready means that calls reach us: the server has the subscriptions
    if (config.ATELIER_HEALTH_PORT !== undefined)
      health = await serveHealth(mesh, registry, config.ATELIER_HEALTH_PORT);
    logger.info({ url: config.ATELIER_NATS_URL }, 'ready');
    return { app, mesh, stop };
  } catch (error) {
    await stop().catch(() => undefined);
    throw error;
  }
}

/**
 * The whole of a main.ts: runs the service until SIGTERM or SIGINT, ends with 0 after a clean stop, 1 when it could not start.
 * @param makeModule called within, so that bad settings are reported like every other failure to start
 */
export async function bootstrapService(makeModule: () => Type | DynamicModule, name: string): Promise<void> {
  await runUntilSignal(async () => startService(makeModule(), name), name);
}

/** How long a start that is not over yet may go on after the signal. */
const STARTING_MS = 5000;

/**
 * Starts something and stops it at the first SIGTERM or SIGINT, also at one that comes while it starts: it may have
 * taken work by then. A second signal ends the process at once.
 */
export async function runUntilSignal(start: () => Promise<{ stop(): Promise<void> }>, name: string): Promise<void> {
  let asked: () => void = () => undefined;
  const stopping = new Promise<void>((resolve) => (asked = resolve));
  let patience: NodeJS.Timeout | undefined;
  const end = (): void => {
    if (patience) process.exit(130);
    patience = setTimeout(() => process.exit(0), STARTING_MS);
    asked();
  };
  process.on('SIGTERM', end);
  process.on('SIGINT', end);
  const fail = (what: string, error: Error): never => {
    process.stderr.write(`${name}: ${what}${error.message}\n`);
    return process.exit(1);
  };
  const running = await start().catch((error: Error) => fail('', error));
  await stopping;
  clearTimeout(patience);
  await running.stop().catch((error: Error) => fail('could not stop cleanly: ', error));
  process.exit(0);
}
