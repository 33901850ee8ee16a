import { Event, headers as names, timestamp, type IEvent } from '@atelier/contracts';
import { randomBytes } from 'node:crypto';
import { headers, type MsgHdrs } from 'nats';
import type { Mesh } from './mesh';
import { orStoreFull } from './store-full';

/** What a generated message class offers. */
export interface MessageType<I, T = unknown> {
  encode(message: I): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
  create(message?: I): T;
  getTypeUrl?(): string;
}

function messageHeaders(schema: string, msgId?: string): MsgHdrs {
  const h = headers();
  if (msgId) h.set(names.messageId, msgId);
  h.set(names.trace, `00-${randomBytes(16).toString('hex')}-${randomBytes(8).toString('hex')}-01`);
  h.set(names.schema, schema);
  return h;
}

const schemaOf = (type: { name?: string }): string => `atelier.v1.${type.name ?? 'Message'}`;

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
  subject: string,
  type: MessageType<I, T>,
  message: I,
  options: { msgId: string },
): Promise<Published> {
  const h = messageHeaders(schemaOf(type as { name?: string }), options.msgId);
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
  const h = messageHeaders('atelier.v1.Event', options.msgId);
  await orStoreFull(() => mesh.js.publish(subject, Event.encode(timed).finish(), { headers: h }));
}
