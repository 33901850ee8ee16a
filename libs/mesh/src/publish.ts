import { Event, headers as names, type IEvent, type WorkSubject } from '@atelier/contracts';
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

/**
 * Puts work on its queue; it is on disk when this resolves. The same `msgId` twice within ten minutes is one message.
 * Throws StoreFull.
 */
export async function publishWork<I, T>(
  mesh: Mesh,
  subject: WorkSubject,
  type: MessageType<I, T>,
  message: I,
  options: { msgId: string },
): Promise<void> {
  const h = messageHeaders(options.msgId);
  await orStoreFull(() => mesh.js.publish(subject, type.encode(message).finish(), { headers: h }));
}

/** Tells what happened; it is in stream EVENTS when this resolves. The time is set here. Throws StoreFull. */
export async function publishEvent(
  mesh: Mesh,
  subject: string,
  event: IEvent,
  options: { msgId?: string } = {},
): Promise<void> {
  const now = Date.now();
  const timed = { ...event, time: { seconds: Math.floor(now / 1000), nanos: (now % 1000) * 1e6 } };
  const h = messageHeaders(options.msgId);
  await orStoreFull(() => mesh.js.publish(subject, Event.encode(timed).finish(), { headers: h }));
}
