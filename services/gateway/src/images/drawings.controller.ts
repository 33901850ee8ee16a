import { Controller, Delete, Get, Headers, HttpCode, Param, Post, Query, Req, Res } from '@nestjs/common';
import { AtelierClient } from '@atelier/client';
import { isGenerationOver } from '@atelier/jobs';
import type { Request, Response } from 'express';
import { z } from 'zod';
import { Needs } from '../access/needs';
import { deletedView, viewDeleted } from '../deleted.view';
import { EventStreams } from '../events/event-streams';
import { viewEvent } from '../events/event.view';
import { position, streamQuery } from '../events/position';
import { GatewayConfig } from '../gateway.config';
import { Operation } from '../openapi/operation';
import { publicAddress } from '../public-address';
import { validated } from '../validated';
import { drawingView, GENERATION_HEADER, viewDrawing } from './drawing.view';

const MOST_AT_ONCE = 1000;

const pageQuery = z.object({
  limit: z.coerce.number().int().min(1).max(MOST_AT_ONCE).default(100).describe('How many at most.'),
  after: z.string().max(100).optional().describe('Those that follow the one of this id: the last of the page before.'),
  token: z.string().optional(),
});

const pageView = z.strictObject({
  object: z.literal('list'),
  data: z.array(drawingView),
  has_more: z.boolean().describe('There are older ones: ask again with after.'),
});

/** Drawings by their ids, for whoever did not wait for the pictures. */
@Controller('v1/images/generations')
export class DrawingsController {
  constructor(
    private readonly client: AtelierClient,
    private readonly config: GatewayConfig,
    private readonly streams: EventStreams,
  ) {}

  @Needs('read')
  @Get(':id')
  @Operation({
    summary: `A drawing, by the id of its answer or of the header ${GENERATION_HEADER}: for whoever did not get the pictures themselves.`,
    answer: { schema: drawingView, description: 'How far it is, and its pictures.' },
    refusals: [404, 503],
  })
  async getDrawing(@Param('id') id: string, @Req() request: Request): Promise<z.output<typeof drawingView>> {
    const drawing = await this.client.generation(id);
    const progress = await this.client.drawingProgress(drawing);
    return viewDrawing(drawing, publicAddress(request, this.config), progress);
  }

  @Needs('read')
  @Get()
  @Operation({
    summary: 'Drawings, the newest first, some at a time.',
    query: pageQuery.omit({ token: true }),
    answer: { schema: pageView, description: 'The drawings.' },
  })
  async listDrawings(@Query() query: unknown, @Req() request: Request): Promise<z.output<typeof pageView>> {
    const { limit, after } = validated(pageQuery, query, 'query');
    const address = publicAddress(request, this.config);
    const { drawings, more } = await this.client.generationPage({ limit, before: after });
    return { object: 'list', data: drawings.map((drawing) => viewDrawing(drawing, address)), has_more: more };
  }

  @Needs('read')
  @Get(':id/events')
  @Operation({
    summary: 'What happens to a drawing, as server-sent events. It ends with finished, failed or cancelled.',
    query: streamQuery,
    answer: {
      type: 'text/event-stream',
      description: 'Events as JSON with a type: status, progress, finished, failed, cancelled.',
    },
    refusals: [404],
  })
  async drawingEvents(
    @Param('id') id: string,
    @Headers('last-event-id') lastEventId: string | undefined,
    @Query('after') afterQuery: string | undefined,
    @Res() response: Response,
  ): Promise<void> {
    const after = position(lastEventId ?? afterQuery);
    const drawing = await this.client.generation(id);
    await this.streams.send(response, {
      events: (signal) => this.client.generationEvents(id, { after, signal }),
      view: viewEvent,
      over: after !== undefined && isGenerationOver(drawing),
    });
  }

  @Needs('draw')
  @Post(':id/cancel')
  @HttpCode(202)
  @Operation({
    summary: 'Ask a drawing to end. One that is over stays as it is.',
    answer: { status: 202, schema: drawingView, description: 'The drawing as it is now.' },
    refusals: [404],
  })
  async cancelDrawing(@Param('id') id: string, @Req() request: Request): Promise<unknown> {
    return viewDrawing(await this.client.cancelGeneration(id), publicAddress(request, this.config));
  }

  @Needs('draw')
  @Delete(':id')
  @Operation({
    summary: 'Delete a drawing that is over, with its pictures.',
    answer: { schema: deletedView, description: 'It is gone, or was never there.' },
    refusals: [409],
  })
  async deleteDrawing(@Param('id') id: string): Promise<unknown> {
    return viewDeleted('generation', id, await this.client.delete('drawing', id));
  }
}
