import { Controller, Get, Inject, Query, Res, type Type } from '@nestjs/common';
import { describeStore, isFull, Mesh, meshHealth, type MeshHealth, type StoreState } from '@atelier/mesh';
import type { Response } from 'express';
import { Registry } from 'prom-client';
import { z } from 'zod';
import { Needs, Public } from '../access/needs';
import { openApiDocument, ROUTES } from '../openapi/document';
import { Operation } from '../openapi/operation';
import { validated } from '../validated';

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
const readiness = z.strictObject({
  status: z.enum(['ready', 'unavailable']),
  reason: z.string().nullable(),
  uploads: z.strictObject({
    accepted: z.boolean(),
    reason: z.string().nullable().describe('Why uploads, imports, runs and drawings would be refused now.'),
  }),
  store,
});
const readinessQuery = z.strictObject({
  for: z.enum(['uploads']).optional().describe('uploads: 503 also where those alone would be refused.'),
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

  @Public()
  @Get('livez')
  @Operation({
    summary: 'Whether the process runs at all: nothing else is looked at.',
    answer: { type: 'text/plain', description: 'It does.' },
  })
  getAlive(): string {
    return 'ok\n';
  }

  @Public()
  @Get('readyz')
  @Operation({
    summary: 'Whether requests can be served now, and uploads.',
    query: readinessQuery,
    answer: { schema: readiness, description: 'They can; uploads where that is said.' },
    refusals: [503],
  })
  async getReadiness(
    @Query() query: Record<string, unknown>,
    @Res({ passthrough: true }) response: Response,
  ): Promise<z.output<typeof readiness>> {
    const { for: purpose } = validated(readinessQuery, query, 'query');
    const health = await meshHealth(this.mesh);
    const { connected, reason, store: found } = health;
    const refusal = uploadsRefused(health);
    if (!connected || (purpose === 'uploads' && refusal)) response.status(503);
    return {
      status: connected ? 'ready' : 'unavailable',
      reason: reason || null,
      uploads: { accepted: !refusal, reason: refusal || null },
      store: viewStore(found),
    };
  }

  @Needs('read')
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

/** Why; empty where they are taken. */
function uploadsRefused({ connected, reason, store: found }: MeshHealth): string {
  if (!connected) return reason;
  return found && isFull(found) ? `the store is full: ${describeStore(found)}` : '';
}

function viewStore(found: StoreState | undefined): z.output<typeof store> {
  if (!found || found.room === Infinity) return { state: 'unknown', room_bytes: null, reserve_bytes: null };
  return { state: isFull(found) ? 'full' : 'ok', room_bytes: found.room, reserve_bytes: found.reserve };
}
