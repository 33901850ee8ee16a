import { Module, type DynamicModule } from '@nestjs/common';
import { APP_FILTER, APP_GUARD, APP_INTERCEPTOR } from '@nestjs/core';
import { AtelierClient } from '@atelier/client';
import { createRegistry, Mesh } from '@atelier/mesh';
import { Registry } from 'prom-client';
import { AdapterMemoryInterceptor } from './access/adapter-memory.interceptor';
import { Rates } from './access/rates';
import { Tokens } from './access/tokens';
import { UploadInterceptor } from './access/upload.interceptor';
import { KohyaConverter } from './adapters/kohya.converter';
import { controllers } from './controllers';
import { ErrorFilter } from './error.filter';
import { EventStreams } from './events/event-streams';
import { GatewayConfig } from './gateway.config';
import { IdempotencyInterceptor } from './idempotency/idempotency.interceptor';
import { MeshMetrics } from './mesh.metrics';
import { RequestMetrics } from './metrics';
import { ROUTES } from './openapi/document';
import { StoreMetrics } from './store/store.metrics';
import { Sweeper } from './store/sweeper';
import { TokenGuard } from './token.guard';
import { Deliverer } from './webhooks/deliverer';
import { Deliveries } from './webhooks/deliveries';

@Module({})
export class GatewayModule {
  static with(config: GatewayConfig, mesh: Mesh, registry = createRegistry('gateway')): DynamicModule {
    return {
      module: GatewayModule,
      controllers,
      providers: [
        { provide: GatewayConfig, useValue: config },
        { provide: Mesh, useValue: mesh },
        { provide: Registry, useValue: registry },
        { provide: AtelierClient, useValue: new AtelierClient(mesh) },
        { provide: APP_GUARD, useClass: TokenGuard },
        { provide: APP_FILTER, useClass: ErrorFilter },
        { provide: APP_INTERCEPTOR, useClass: RequestMetrics },
        { provide: APP_INTERCEPTOR, useClass: IdempotencyInterceptor },
        { provide: ROUTES, useValue: controllers },
        Tokens,
        Rates,
        EventStreams,
        UploadInterceptor,
        AdapterMemoryInterceptor,
        KohyaConverter,
        MeshMetrics,
        StoreMetrics,
        Sweeper,
        Deliveries,
        Deliverer,
      ],
    };
  }
}
