import { Injectable, type OnModuleDestroy } from '@nestjs/common';
import type { StreamedEvent } from '@atelier/jobs';
import type { Response } from 'express';
import { clientLeft } from '../client-left';
import { GatewayConfig } from '../gateway.config';
import { sendEvents, type ServerSentEvent } from './event-stream';

export interface Told {
  events: (signal: AbortSignal) => AsyncIterable<StreamedEvent>;
  /** What a reader gets to see of an event; null: it is none of its. */
  view: (streamed: StreamedEvent) => object | null;
  /** There may be nothing more to come. */
  over?: boolean;
}

/** Answers that go on while something does. A gateway that stops ends them: readers come back to the next one. */
@Injectable()
export class EventStreams implements OnModuleDestroy {
  private readonly closing = new AbortController();

  constructor(private readonly config: GatewayConfig) {}

  onModuleDestroy(): void {
    this.closing.abort();
  }

  async send(response: Response, { events, view, over = false }: Told): Promise<void> {
    const signal = AbortSignal.any([clientLeft(response), this.closing.signal]);
    await sendEvents(response, viewed(events(signal), view), { heartbeatMs: this.config.heartbeatMs, over });
  }
}

async function* viewed(events: AsyncIterable<StreamedEvent>, view: Told['view']): AsyncGenerator<ServerSentEvent> {
  for await (const streamed of events) {
    const data = view(streamed);
    if (data) yield { id: streamed.sequence, data };
  }
}
