import { Event, timestamp, type IEvent, type WorkSubject } from '@atelier/contracts';
import type { Mesh } from './mesh';
import { orStoreFull } from './store-full';
import { publishing } from './tracing/messages';

/** What a generated message class offers. */
export interface MessageType<I, T = unknown> {
  encode(message: I): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
  create(message?: I): T;
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
  const bytes = type.encode(message).finish();
  const { seq, duplicate } = await publishing(subject, options.msgId, (headers) =>
    orStoreFull(() => mesh.js.publish(subject, bytes, { headers })),
  );
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
  const bytes = Event.encode(timed).finish();
  await publishing(subject, options.msgId, (headers) =>
    orStoreFull(() => mesh.js.publish(subject, bytes, { headers })),
  );
}
