import { Global, Module, type DynamicModule } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { Registry } from 'prom-client';
import type { Logger } from './logging';
import { Mesh } from './mesh';
import { ServiceStatus, statusController } from './status';
import { LOGGER } from './tokens';
import { WorkerHost } from './work-handler';

export interface MeshModuleOptions {
  name: string;
  version: string;
  mesh: Mesh;
  logger: Logger;
  registry: Registry;
}

/** What every service may inject: Mesh, LOGGER, Registry (metrics), ServiceStatus. It also runs the work handlers. */
@Global()
@Module({})
export class MeshModule {
  static with({ name, version, mesh, logger, registry }: MeshModuleOptions): DynamicModule {
    return {
      module: MeshModule,
      imports: [DiscoveryModule],
      controllers: [statusController(name, version)],
      providers: [
        { provide: Mesh, useValue: mesh },
        { provide: LOGGER, useValue: logger },
        { provide: Registry, useValue: registry },
        ServiceStatus,
        WorkerHost,
      ],
      exports: [Mesh, LOGGER, Registry, ServiceStatus],
    };
  }
}
