import { Controller, Get, Headers, Query, Req, Res } from '@nestjs/common';
import { AtelierClient } from '@atelier/client';
import { EVENT_KINDS, filterOfEvents } from '@atelier/jobs';
import type { Request, Response } from 'express';
import { z } from 'zod';
import { Needs } from '../access/needs';
import { GatewayConfig } from '../gateway.config';
import { Operation } from '../openapi/operation';
import { publicAddress } from '../public-address';
import { validated } from '../validated';
import { EventStreams } from './event-streams';
import { viewEvent } from './event.view';
import { position, streamQuery } from './position';

/** Of many readers, who may be slow: an event may have a prompt of 32 KiB in it. */
const AHEAD = 16;

const listed = (text: string): string[] => text.split(',').map((each) => each.trim());

const feedQuery = streamQuery.extend({
  kind: z
    .enum(EVENT_KINDS as [string, ...string[]])
    .optional()
    .describe('Of one kind of thing.'),
  id: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,100}$/, 'is no id')
    .optional()
    .describe('Of one thing: an id, or the name of an adapter.'),
  type: z.string().max(500).transform(listed).optional().describe('Types such as finished; several with commas.'),
  from: z
    .enum(['now', 'start'])
    .default('now')
    .describe('Where to begin without after: with what comes, or with the first that is kept (14 days).'),
  token: z.string().optional(),
});

/** What happens, of every kind. Each reader has a consumer of its own, from which no more is fetched than it reads. */
@Controller('v1/events')
export class EventsController {
  constructor(
    private readonly client: AtelierClient,
    private readonly config: GatewayConfig,
    private readonly streams: EventStreams,
  ) {}

  @Needs('read')
  @Get()
  @Operation({
    summary: 'All that happens, or what filters let through, as server-sent events without an end.',
    query: feedQuery.omit({ token: true }),
    answer: { type: 'text/event-stream', description: 'Events as JSON with kind, id, type and time.' },
  })
  async feed(
    @Query() query: unknown,
    @Headers('last-event-id') lastEventId: string | undefined,
    @Req() request: Request,
    @Res() response: Response,
  ): Promise<void> {
    const asked = validated(feedQuery, query, 'query');
    // Known before the answer begins: a reader who acts when it has, misses nothing of what comes of it.
    const start = asked.from === 'now' ? await this.client.lastEvent() : undefined;
    const after = position(lastEventId ?? asked.after) ?? start;
    const filter = filterOfEvents(asked as Parameters<typeof filterOfEvents>[0]);
    const address = publicAddress(request, this.config);
    await this.streams.send(response, {
      events: (signal) => this.client.events({ after, filter, ahead: AHEAD, signal }),
      view: (streamed) => {
        const seen = viewEvent(streamed, address);
        return seen && (!asked.type || asked.type.includes((seen as { type: string }).type)) ? seen : null;
      },
    });
  }
}
