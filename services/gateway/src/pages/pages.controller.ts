import { Controller, Get, Inject, Res, type Type } from '@nestjs/common';
import { isFull, Mesh, meshHealth, type StoreState } from '@atelier/mesh';
import type { Response } from 'express';
import { Registry } from 'prom-client';
import { z } from 'zod';
import { openApiDocument, ROUTES } from '../openapi/document';
import { Operation } from '../openapi/operation';
import { Public } from '../token.guard';

const store = z.strictObject({
  state: z
    .enum(['ok', 'full', 'unknown'])
    .describe('full: uploads, imports, runs and drawings are refused (507); reading goes on.'),
  room_bytes: z.int().nullable().describe('What may still be written.'),
  reserve_bytes: z.int().nullable().describe('How much of it is kept for work under way.'),
});
const health = z.strictObject({
  status: z.enum(['ok', 'unavailable']),
  nats: z.enum(['connected', 'disconnected']),
  reason: z.string().nullable(),
  store,
});

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
  @Operation({
    summary: 'This document.',
    answer: { schema: z.record(z.string(), z.unknown()), description: 'OpenAPI 3.1.' },
  })
  getOpenApi(): Record<string, unknown> {
    return (this.document ??= openApiDocument(this.controllers));
  }

  @Public()
  @Get('healthz')
  @Operation({
    summary: 'Whether the gateway can serve.',
    answer: { schema: health, description: 'It can.' },
    refusals: [503],
  })
  async getHealth(@Res({ passthrough: true }) response: Response): Promise<z.output<typeof health>> {
    const { connected, reason, store: found } = await meshHealth(this.mesh);
    if (!connected) response.status(503);
    const state = connected
      ? ({ status: 'ok', nats: 'connected' } as const)
      : ({ status: 'unavailable', nats: 'disconnected' } as const);
    return { ...state, reason: reason || null, store: viewStore(found) };
  }

  @Get('metrics')
  @Operation({
    summary: "The gateway's figures, for Prometheus.",
    answer: { type: 'text/plain', description: 'Prometheus text format.' },
  })
  async getMetrics(@Res() response: Response): Promise<void> {
    response.setHeader('content-type', this.registry.contentType);
    response.end(await this.registry.metrics());
  }
}

function viewStore(found: StoreState | undefined): z.output<typeof store> {
  if (!found || found.room === Infinity) return { state: 'unknown', room_bytes: null, reserve_bytes: null };
  return { state: isFull(found) ? 'full' : 'ok', room_bytes: found.room, reserve_bytes: found.reserve };
}
