import { Body, Controller, Delete, Get, Headers, HttpCode, Param, Patch, Post, Query, Req, Res } from '@nestjs/common';
import { AtelierClient, trainOptions } from '@atelier/client';
import type { Run } from '@atelier/contracts';
import { isRunOver, placesOf, waitsItsTurn } from '@atelier/jobs';
import { within, type StoreState } from '@atelier/mesh';
import type { Request, Response } from 'express';
import { Needs } from '../access/needs';
import { listOf } from '../datasets/dataset.view';
import { deletedView, viewDeleted } from '../deleted.view';
import { EventStreams } from '../events/event-streams';
import { viewEvent } from '../events/event.view';
import { position, streamQuery } from '../events/position';
import { onceOf } from '../idempotency/once';
import { Operation } from '../openapi/operation';
import { validated } from '../validated';
import { finetuneBody, finetuneChange, optionsOf, runView, viewRun } from './finetune.view';

const STORE_MS = 1500;

@Controller('v1/finetunes')
export class FinetunesController {
  constructor(
    private readonly client: AtelierClient,
    private readonly streams: EventStreams,
  ) {}

  @Needs('train')
  @Post()
  @HttpCode(202)
  @Operation({
    summary: 'Start a fine-tune on a data set.',
    body: { type: 'application/json', schema: finetuneBody },
    answer: { status: 202, schema: runView, description: 'The run is on disk and will be taken up.' },
    refusals: [404, 409, 503, 507],
  })
  async startFinetune(@Body() body: unknown, @Req() request: Request): Promise<unknown> {
    const asked = validated(finetuneBody, body);
    const { dataset, name, priority, replace } = asked;
    const options = trainOptions(optionsOf(body));
    const once = onceOf(request, 'run');
    return viewRun(await this.client.startFinetune({ dataset, name, priority, replace, options }, once));
  }

  @Needs('read')
  @Get()
  @Operation({
    summary: 'All fine-tunes, the newest first.',
    answer: { schema: listOf(runView), description: 'The runs.' },
  })
  async listFinetunes(): Promise<unknown> {
    const [runs, store] = await Promise.all([this.client.runs(), this.store()]);
    const places = placesOf(runs);
    return { object: 'list', data: runs.map((run) => viewRun(run, { store, place: places.get(run.id) })) };
  }

  @Needs('read')
  @Get(':id')
  @Operation({
    summary: 'One fine-tune by id, or the newest of a name.',
    answer: { schema: runView, description: 'The run.' },
    refusals: [404],
  })
  async getFinetune(@Param('id') id: string): Promise<unknown> {
    return this.view(await this.client.run(id));
  }

  @Needs('read')
  @Get(':id/events')
  @Operation({
    summary:
      'What happens in a run, from its start on, as server-sent events. It ends with finished, failed or cancelled.',
    query: streamQuery,
    answer: {
      type: 'text/event-stream',
      description:
        'Events as JSON with a type: status, encoding, encoded, encode_failed, planned, step, held_out, sample, finished, failed, cancelled.',
    },
    refusals: [404],
  })
  async finetuneEvents(
    @Param('id') id: string,
    @Headers('last-event-id') lastEventId: string | undefined,
    @Query('after') afterQuery: string | undefined,
    @Res() response: Response,
  ): Promise<void> {
    const after = position(lastEventId ?? afterQuery);
    const run = await this.client.run(id);
    await this.streams.send(response, {
      events: (signal) => this.client.runEvents(run.id, { after, signal }),
      view: viewEvent,
      over: after !== undefined && isRunOver(run),
    });
  }

  @Needs('train')
  @Post(':id/cancel')
  @HttpCode(202)
  @Operation({
    summary: 'Ask a run to end; it does within a step.',
    answer: { status: 202, schema: runView, description: 'The run, with the request noted.' },
    refusals: [404],
  })
  async cancelFinetune(@Param('id') id: string): Promise<unknown> {
    return viewRun(await this.client.cancelRun(id));
  }

  @Needs('train')
  @Patch(':id')
  @Operation({
    summary: 'Change when the turn of a run comes, as long as it waits.',
    body: { type: 'application/json', schema: finetuneChange },
    answer: { schema: runView, description: 'The run, with its place.' },
    refusals: [404],
  })
  async changeFinetune(@Param('id') id: string, @Body() body: unknown): Promise<unknown> {
    const { priority } = validated(finetuneChange, body);
    return this.view(await this.client.prioritizeRun(id, priority));
  }

  @Needs('train')
  @Post(':id/pause')
  @HttpCode(202)
  @Operation({
    summary:
      'Put a run down until it is resumed. A trainer that has it does so within a step, and keeps what it came to.',
    answer: { status: 202, schema: runView, description: 'The run, paused or with the request noted.' },
    refusals: [404],
  })
  async pauseFinetune(@Param('id') id: string): Promise<unknown> {
    return this.view(await this.client.pauseRun(id));
  }

  @Needs('train')
  @Post(':id/resume')
  @HttpCode(202)
  @Operation({
    summary: 'Let a paused run go on where it was, to the same adapter.',
    answer: { status: 202, schema: runView, description: 'The run, in its place.' },
    refusals: [404],
  })
  async resumeFinetune(@Param('id') id: string): Promise<unknown> {
    return this.view(await this.client.resumeRun(id));
  }

  @Needs('train')
  @Delete(':id')
  @Operation({
    summary: 'Delete a run that is over, with its training state and validation pictures. Its adapter stays.',
    answer: { schema: deletedView, description: 'It is gone, or was never there.' },
    refusals: [409],
  })
  async deleteFinetune(@Param('id') id: string): Promise<unknown> {
    return viewDeleted('finetune', id, await this.client.delete('run', id));
  }

  private async view(run: Run): Promise<unknown> {
    // It takes a look at all runs; most of those that are asked for are being trained, or are over.
    const runs = waitsItsTurn(run) ? this.client.runs() : Promise.resolve([]);
    const [others, store] = await Promise.all([runs, this.store()]);
    return viewRun(run, { store, place: placesOf(others).get(run.id) });
  }

  /** What a run may be waiting for; a store that does not say is no reason to keep the run from its reader. */
  private store(): Promise<StoreState | undefined> {
    return within(STORE_MS, 'the store', this.client.store()).catch(() => undefined);
  }
}
