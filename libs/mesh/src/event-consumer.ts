import { Event, eventFilters, streams } from '@atelier/contracts';
import { AckPolicy, DeliverPolicy, nanos, type JsMsg } from 'nats';
import type { Mesh } from './mesh';
import { isConsumerTaken, isNotFound } from './nats-errors';
import type { ReceivedEvent } from './subscribe';

/** What is not settled by then was in the hands of a process that was killed: another gets it. */
const ACK_WAIT_MS = 30_000;
/** Handed out and not settled, also while they wait to be tried again; more wait in the stream. */
const MOST_PENDING = 1000;
const FETCH_MS = 30_000;

/** An event that is settled by whoever takes it, as work is. */
export interface TakenEvent extends ReceivedEvent {
  /** When it was told. */
  toldAt: Date;
  /** This one is the first, second … time that it is taken. */
  tries: number;
}

export interface TakingOptions {
  signal: AbortSignal;
  atOnce: number;
  /** One could not be handled, and is given out again after a while. */
  failed: (error: Error) => void;
}

/** Again after so long; undefined: it is over. */
export type EventSettlement = { againMs: number } | undefined;

/** A durable reader of stream EVENTS from a place on, which several processes share. There already, it stays. */
export async function ensureEventConsumer(mesh: Mesh, name: string, startSequence: number): Promise<void> {
  try {
    await mesh.jsm.consumers.add(streams.EVENTS, {
      durable_name: name,
      filter_subject: eventFilters.all,
      ack_policy: AckPolicy.Explicit,
      ack_wait: nanos(ACK_WAIT_MS),
      max_deliver: -1,
      max_ack_pending: MOST_PENDING,
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: Math.max(1, startSequence),
    });
  } catch (error) {
    if (!isConsumerTaken(error)) throw error;
  }
}

export async function removeEventConsumer(mesh: Mesh, name: string): Promise<void> {
  try {
    await mesh.jsm.consumers.delete(streams.EVENTS, name);
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}

/** Names of durable readers that begin with a prefix. */
export async function eventConsumers(mesh: Mesh, prefix: string): Promise<string[]> {
  const names: string[] = [];
  for await (const { name, config } of mesh.jsm.consumers.list(streams.EVENTS))
    if (config.durable_name && name.startsWith(prefix)) names.push(name);
  return names;
}

/**
 * Takes what such a reader has, a few at once, until the signal; what is in hand then is settled before it resolves. It
 * throws where the reader is not there any more, or NATS is away.
 */
export async function takeEvents(
  mesh: Mesh,
  name: string,
  { signal, atOnce, failed }: TakingOptions,
  handle: (event: TakenEvent) => Promise<EventSettlement>,
): Promise<void> {
  const consumer = await mesh.js.consumers.get(streams.EVENTS, name);
  while (!signal.aborted) {
    const messages = await consumer.fetch({ max_messages: atOnce, expires: FETCH_MS });
    const stop = (): void => void messages.close();
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    const inHand: Promise<void>[] = [];
    try {
      // Heard of at once: a rejection that nobody awaits yet would end the process.
      for await (const message of messages) inHand.push(settle(message, handle).catch(failed));
    } finally {
      signal.removeEventListener('abort', stop);
      await Promise.all(inHand);
    }
  }
}

/** One that could not be handled at all is given out again when nobody has settled it for a while. */
async function settle(message: JsMsg, handle: (event: TakenEvent) => Promise<EventSettlement>): Promise<void> {
  const { subject, seq: sequence, data, info } = message;
  const toldAt = new Date(info.timestampNanos / 1e6);
  const settlement = await handle({
    subject,
    sequence,
    event: Event.decode(data),
    toldAt,
    tries: info.deliveryCount,
  });
  if (settlement) message.nak(settlement.againMs);
  else await message.ackAck();
}
