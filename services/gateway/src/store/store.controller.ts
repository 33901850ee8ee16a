import { Controller, Get, HttpCode, Post, Query } from '@nestjs/common';
import { AtelierClient } from '@atelier/client';
import { isFull, type StoreState } from '@atelier/mesh';
import { z } from 'zod';
import { Needs } from '../access/needs';
import { unixSeconds } from '../datasets/dataset.view';
import { GatewayConfig } from '../gateway.config';
import { Operation } from '../openapi/operation';
import { validated } from '../validated';

const counted = z.strictObject({ kind: z.string(), count: z.int(), bytes: z.int() });

const storeView = z.strictObject({
  object: z.literal('store'),
  state: z.enum(['ok', 'full', 'unknown']).describe('unknown: nobody tells what its disk has.'),
  path: z.string().nullable(),
  used_bytes: z.int().describe('All kinds together.'),
  room_bytes: z.int().nullable().describe('What may still be written.'),
  limit_bytes: z.int().nullable(),
  reserve_bytes: z.int().describe('Of the room, what is kept for work under way.'),
  kinds: z.array(counted).describe('What takes how much, the largest first.'),
  last_sweep: z
    .strictObject({ finished_at: z.int().nullable(), cleared: z.array(counted) })
    .nullable()
    .describe('finished_at is null while it is under way.'),
});

const sweepQuery = z.object({
  dry_run: z.enum(['true', 'false']).default('false').describe('Take nothing away: say what would be.'),
});
const sweepView = z.strictObject({
  object: z.literal('sweep'),
  dry_run: z.boolean(),
  bytes: z.int(),
  cleared: z.array(counted),
});

@Controller('v1/store')
export class StoreController {
  constructor(
    private readonly client: AtelierClient,
    private readonly config: GatewayConfig,
  ) {}

  @Needs('read')
  @Get()
  @Operation({
    summary: 'What takes how much of the store, and what it still takes.',
    answer: { schema: storeView, description: 'The store.' },
    refusals: [503],
  })
  async getStore(): Promise<z.output<typeof storeView>> {
    const [state, kinds, last] = await Promise.all([
      this.client.store(),
      this.client.storeUsage(),
      this.client.lastSweep(),
    ]);
    return {
      object: 'store',
      ...viewRoom(state),
      used_bytes: kinds.reduce((sum, { bytes }) => sum + bytes, 0),
      kinds,
      last_sweep: last
        ? {
            finished_at: unixSeconds(last.finishedAt),
            cleared: last.cleared.map((each) => ({
              kind: each.kind ?? '',
              count: each.count ?? 0,
              bytes: each.bytes ?? 0,
            })),
          }
        : null,
    };
  }

  @Needs('admin')
  @Post('sweep')
  @HttpCode(200)
  @Operation({
    summary: 'Clear what nothing names any more, as the gateway does by itself now and then.',
    query: sweepQuery,
    answer: { schema: sweepView, description: 'What was cleared; in a dry run, what would be.' },
    refusals: [409, 503],
  })
  async sweepStore(@Query() query: unknown): Promise<z.output<typeof sweepView>> {
    const dryRun = validated(sweepQuery, query, 'query').dry_run === 'true';
    const cleared = await this.client.sweep(this.config.sweepRules, { dryRun });
    const bytes = cleared.reduce((sum, each) => sum + each.bytes, 0);
    return { object: 'sweep', dry_run: dryRun, bytes, cleared };
  }
}

function viewRoom(
  state: StoreState,
): Omit<z.output<typeof storeView>, 'object' | 'used_bytes' | 'kinds' | 'last_sweep'> {
  const { path, room, limit, reserve } = state;
  const known = (bytes: number): number | null => (Number.isFinite(bytes) ? bytes : null);
  return {
    state: room === Infinity ? 'unknown' : isFull(state) ? 'full' : 'ok',
    path: path || null,
    room_bytes: known(room),
    limit_bytes: known(limit),
    reserve_bytes: reserve,
  };
}
