import { Global, Module, type DynamicModule } from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { Registry } from 'prom-client';
import { ErrorsAsTheyAre } from './errors-as-they-are';
import type { Logger } from './logging';
import { Mesh } from './mesh';
import { Readiness } from './readiness';
import { ServiceStatus, statusController } from './status';
import { LOGGER } from './tokens';

export interface MeshModuleOptions {
  name: string;
  version: string;
  mesh: Mesh;
  logger: Logger;
  registry: Registry;
  readiness: Readiness;
}

/** What every service may inject: Mesh, LOGGER, Registry (metrics), Readiness, ServiceStatus. */
@Global()
@Module({})
export class MeshModule {
  static with({ name, version, mesh, logger, registry, readiness }: MeshModuleOptions): DynamicModule {
    return {
      module: MeshModule,
      controllers: [statusController(name, version)],
      providers: [
        { provide: Mesh, useValue: mesh },
        { provide: LOGGER, useValue: logger },
        { provide: Registry, useValue: registry },
        { provide: Readiness, useValue: readiness },
        ServiceStatus,
        { provide: APP_FILTER, useClass: ErrorsAsTheyAre },
      ],
      exports: [Mesh, LOGGER, Registry, Readiness, ServiceStatus],
    };
  }
}
