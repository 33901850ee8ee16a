import { Event, headers as names, streams, subjects } from '@atelier/contracts';
import { DeliverPolicy, type JsMsg, type OrderedConsumerOptions } from 'nats';
import type { Mesh } from './mesh';
import { isNotFound } from './nats-errors';
import type { MessageType } from './publish';

export interface SubscribeOptions {
  /** 'all': from the first one kept; 'new': from now on; a number: from that position of the stream; a date: from then. Default 'all'. */
  from?: 'all' | 'new' | number | Date;
  /** How many are fetched before they are read, at most. */
  ahead?: number;
  signal?: AbortSignal;
}

export interface ReceivedEvent {
  subject: string;
  sequence: number;
  event: Event;
}

/** Events of a subject in order, without gaps, across reconnections; ends when the signal says so. */
export async function* subscribeEvents(
  mesh: Mesh,
  filter: string,
  options: SubscribeOptions = {},
): AsyncGenerator<ReceivedEvent> {
  for await (const message of readStream(mesh, streams.EVENTS, filter, options)) {
    yield { subject: message.subject, sequence: message.seq, event: Event.decode(message.data) };
  }
}

/** The place of the last event that was told. */
export async function lastEventSequence({ jsm }: Mesh): Promise<number> {
  return (await jsm.streams.info(streams.EVENTS)).state.last_seq;
}

/** One event by its place; undefined: it is not kept any more. */
export async function eventAt({ jsm }: Mesh, sequence: number): Promise<ReceivedEvent | undefined> {
  try {
    const { subject, data } = await jsm.streams.getMessage(streams.EVENTS, { seq: sequence });
    return { subject, sequence, event: Event.decode(data) };
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/** Work of one subject that was given up, with the reason, in order; ends when the signal says so. */
export async function* subscribeDeadLetters<I, T>(
  mesh: Mesh,
  subject: string,
  type: MessageType<I, T>,
  options: SubscribeOptions = {},
): AsyncGenerator<{ work: T; reason: string }> {
  for await (const message of readStream(mesh, streams.DEAD, subjects.dead(subject), options)) {
    yield { work: type.decode(message.data), reason: message.headers?.get(names.reason) || 'no reason was kept' };
  }
}

async function* readStream(
  mesh: Mesh,
  stream: string,
  filter: string,
  { from = 'all', ahead = 100, signal }: SubscribeOptions,
): AsyncGenerator<JsMsg> {
  if (signal?.aborted) return;
  const options: Partial<OrderedConsumerOptions> = { filterSubjects: filter };
  if (from === 'new') options.deliver_policy = DeliverPolicy.New;
  else if (from instanceof Date) {
    options.deliver_policy = DeliverPolicy.StartTime;
    options.opt_start_time = from.toISOString();
  } else if (typeof from === 'number') {
    options.deliver_policy = DeliverPolicy.StartSequence;
    options.opt_start_seq = Math.max(1, from);
  }
  const consumer = await mesh.js.consumers.get(stream, options);
  const messages = await consumer.consume({ max_messages: ahead });
  const stop = (): void => void messages.close();
  signal?.addEventListener('abort', stop, { once: true });
  if (signal?.aborted) stop();
  try {
    yield* messages;
  } finally {
    signal?.removeEventListener('abort', stop);
    await messages.close();
    // Not waited for: without it the server keeps the consumer for five minutes more.
    void consumer.delete().catch(() => undefined);
  }
}
