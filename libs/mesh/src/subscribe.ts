import { Event, streams } from '@atelier/contracts';
import { DeliverPolicy, type OrderedConsumerOptions } from 'nats';
import type { Mesh } from './mesh';

export interface SubscribeOptions {
  /** 'all': from the first event kept; 'new': from now on; a number: from that position of the stream. Default 'all'. */
  from?: 'all' | 'new' | number;
  signal?: AbortSignal;
}

export interface ReceivedEvent {
  subject: string;
  sequence: number;
  event: Event;
}

/** Events of a subject in order, without gaps, across reconnections; ends when the signal says so. */
export async function* subscribeEvents(mesh: Mesh, filter: string, { from = 'all', signal }: SubscribeOptions = {}): AsyncGenerator<ReceivedEvent> {
  if (signal?.aborted) return;
  const options: Partial<OrderedConsumerOptions> = { filterSubjects: filter };
  if (from === 'new') options.deliver_policy = DeliverPolicy.New;
  else if (typeof from === 'number') {
    options.deliver_policy = DeliverPolicy.StartSequence;
    options.opt_start_seq = Math.max(1, from);
  }
  const consumer = await mesh.js.consumers.get(streams.EVENTS, options);
  const messages = await consumer.consume({ max_messages: 100 });
  const stop = (): void => void messages.close();
  signal?.addEventListener('abort', stop, { once: true });
  if (signal?.aborted) stop();
  try {
    for await (const message of messages) {
      yield { subject: message.subject, sequence: message.seq, event: Event.decode(message.data) };
    }
  } finally {
    signal?.removeEventListener('abort', stop);
    await messages.close();
    // Not waited for: without it the server keeps the consumer for five minutes more.
    void consumer.delete().catch(() => undefined);
  }
}
