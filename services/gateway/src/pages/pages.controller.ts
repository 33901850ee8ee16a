import { Controller, Get, Inject, Res, type Type } from '@nestjs/common';
import { Mesh } from '@atelier/mesh';
import type { Response } from 'express';
import { Registry } from 'prom-client';
import { z } from 'zod';
import { openApiDocument, ROUTES } from '../openapi/document';
import { Operation } from '../openapi/operation';
import { Public } from '../token.guard';

const health = z.strictObject({ status: z.enum(['ok', 'unavailable']), nats: z.enum(['connected', 'disconnected']) });

@Controller()
export class PagesController {
  private document?: Record<string, unknown>;

  constructor(
    private readonly mesh: Mesh,
    private readonly registry: Registry,
    @Inject(ROUTES) private readonly controllers: Type[],
  ) {}

  @Public()
  @Get('openapi.json')
  @Operation({ summary: 'This document.', answer: { schema: z.record(z.string(), z.unknown()), description: 'OpenAPI 3.1.' } })
  getOpenApi(): Record<string, unknown> {
    return (this.document ??= openApiDocument(this.controllers));
  }

  @Public()
  @Get('healthz')
  @Operation({ summary: 'Whether the gateway can serve.', answer: { schema: health, description: 'It can.' }, refusals: [503] })
  async getHealth(@Res({ passthrough: true }) response: Response): Promise<z.output<typeof health>> {
    const connected = await this.mesh.nc.rtt().then(() => true, () => false);
    if (!connected) response.status(503);
    return connected ? { status: 'ok', nats: 'connected' } : { status: 'unavailable', nats: 'disconnected' };
  }

  @Get('metrics')
  @Operation({ summary: "The gateway's figures, for Prometheus.", answer: { type: 'text/plain', description: 'Prometheus text format.' } })
  async getMetrics(@Res() response: Response): Promise<void> {
    response.setHeader('content-type', this.registry.contentType);
    response.end(await this.registry.metrics());
  }
}
