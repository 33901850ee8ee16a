import 'reflect-metadata';
import { Module, type DynamicModule, type INestMicroservice, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { meshUsers, type MeshUser } from '@atelier/contracts';
import type { MicroserviceOptions } from '@nestjs/microservices';
import type { Server } from 'node:http';
import { loadConfig, workerSettings } from './config';
import { credentialsOf } from './credentials';
import { firstConnect } from './first-connect';
import { createRegistry } from './health';
import { createLogger, nestLogger } from './logging';
import type { Mesh } from './mesh';
import { MeshModule } from './mesh.module';
import { serveProbes } from './probes';
import { Readiness } from './readiness';
import { JetStreamStrategy } from './strategy';
import { startTracing, type Tracing } from './tracing';
import { VERSION } from './version';

@Module({})
class ServiceRoot {
  static with(imports: DynamicModule['imports']): DynamicModule {
    return { module: ServiceRoot, imports };
  }
}

export interface RunningService {
  app: INestMicroservice;
  mesh: Mesh;
  /** Resolves when the one message of ATELIER_ONCE is settled; never without that. */
  over: Promise<void>;
  /** Takes no more work, finishes what is in hand, leaves the mesh. */
  stop(): Promise<void>;
}

/** A service on a mesh: settings, connection, streams, work, calls, health. Tests use it as it is; main.ts through bootstrapService. */
export async function startService(
  module: Type | DynamicModule,
  name: string,
  env: Record<string, string | undefined> = process.env,
): Promise<RunningService> {
  const config = loadConfig(workerSettings, env);
  const logger = createLogger(name, config.ATELIER_LOG_LEVEL);
  const registry = createRegistry(name);
  const readiness = new Readiness(logger);
  let mesh: Mesh | undefined;
  let probes: Server | undefined;
  let app: INestMicroservice | undefined;
  let tracing: Tracing | undefined;
  let reason = '';
  const stop = async (): Promise<void> => {
    probes?.close();
    await app?.close();
    await mesh?.close();
    await tracing?.stop();
  };
  try {
    tracing = startTracing(name, VERSION, { logger, env });
    const port = config.ATELIER_HEALTH_PORT;
    const probed = { mesh: () => mesh, waitsFor: () => reason, readiness, registry };
    if (port !== undefined) probes = await serveProbes(probed, port);
    const url = config.ATELIER_NATS_URL;
    const replicas = config.ATELIER_NATS_REPLICAS;
    const access = { url, name, user: meshUserOf(name), credentials: credentialsOf(config) };
    mesh = await firstConnect(access, { logger, replicas, onWait: (why) => (reason = why) });
    const parts = { name, version: VERSION, mesh, logger, registry, readiness };
    const root = ServiceRoot.with([MeshModule.with(parts), module]);
    const strategy = new JetStreamStrategy({
      mesh,
      service: name,
      logger,
      registry,
      readiness,
      once: config.ATELIER_ONCE,
      find: (provider) => app!.get(provider, { strict: false }),
    });
    app = await NestFactory.createMicroservice<MicroserviceOptions>(root, {
      strategy,
      logger: nestLogger(logger),
      abortOnError: false,
    });
    await app.listen();
    logger.info({ url }, 'ready');
    return { app, mesh, over: strategy.over, stop };
  } catch (error) {
    await stop().catch(() => undefined);
    throw error;
  }
}

const meshUserOf = (name: string): MeshUser | undefined => meshUsers.find((user) => user === name);

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
 * Starts something and stops it when it is over, or at the first SIGTERM or SIGINT, also at one that comes while it starts: it may have
 * taken work by then. A second signal ends the process at once.
 */
export async function runUntilSignal(
  start: () => Promise<{ stop(): Promise<void>; over?: Promise<void> }>,
  name: string,
): Promise<void> {
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
  void running.over?.then(asked);
  await stopping;
  clearTimeout(patience);
  await running.stop().catch((error: Error) => fail('could not stop cleanly: ', error));
  process.exit(0);
}
