import { Event, headers as names, timestamp, type IEvent, type WorkSubject } from '@atelier/contracts';
import { headers, type MsgHdrs } from 'nats';
import type { Mesh } from './mesh';
import { orStoreFull } from './store-full';

/** What a generated message class offers. */
export interface MessageType<I, T = unknown> {
  encode(message: I): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
  create(message?: I): T;
}

function messageHeaders(msgId?: string): MsgHdrs {
  const h = headers();
  if (msgId) h.set(names.messageId, msgId);
  return h;
}

/** Where a message stands in its stream. */
export interface Published {
  sequence: number;
  /** Whether it was there already, under this id. */
  duplicate: boolean;
}

/**
 * Puts work on its queue; it is on disk when this resolves. The same `msgId` twice within a day is one message, handled
 * in the meantime or not. Throws StoreFull.
 */
export async function publishWork<I, T>(
  mesh: Mesh,
  subject: WorkSubject,
  type: MessageType<I, T>,
  message: I,
  options: { msgId: string },
): Promise<Published> {
  const h = messageHeaders(options.msgId);
  const bytes = type.encode(message).finish();
  const { seq, duplicate } = await orStoreFull(() => mesh.js.publish(subject, bytes, { headers: h }));
  return { sequence: seq, duplicate };
}

/** Tells what happened; it is in stream EVENTS when this resolves. The time is set here. Throws StoreFull. */
export async function publishEvent(
  mesh: Mesh,
  subject: string,
  event: IEvent,
  options: { msgId?: string } = {},
): Promise<void> {
  const timed = { ...event, time: timestamp() };
  const h = messageHeaders(options.msgId);
  await orStoreFull(() => mesh.js.publish(subject, Event.encode(timed).finish(), { headers: h }));
}
