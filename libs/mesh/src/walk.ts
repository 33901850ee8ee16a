import { randomUUID } from 'node:crypto';
import { AtelierError } from '@atelier/contracts';
import { AckPolicy, DeliverPolicy, nanos } from 'nats';
import type { Mesh } from './mesh';

export interface WalkedMessage {
  subject: string;
  sequence: number;
  written: Date;
  /** Of its payload. */
  bytes: number;
  /** Empty unless it was asked for. */
  data: Uint8Array;
}

const AT_ONCE = 500;
const FETCH_MS = 5000;
const LEFT_BEHIND_MS = 60_000;
const SIZE = 'Nats-Msg-Size';

/**
 * What a stream holds now under a filter, to the last of it, once. It throws where it may have missed something: who
 * clears what it has not seen named must have seen everything.
 * @param options bodies: with the payloads, rather than with their sizes alone
 */
export async function* walkStream(
  mesh: Mesh,
  stream: string,
  filter: string,
  { bodies = false }: { bodies?: boolean } = {},
): AsyncGenerator<WalkedMessage> {
  const name = `walk-${randomUUID()}`;
  const { num_pending: pending } = await mesh.jsm.consumers.add(stream, {
    name,
    filter_subject: filter,
    ack_policy: AckPolicy.None,
    deliver_policy: DeliverPolicy.All,
    headers_only: !bodies,
    inactive_threshold: nanos(LEFT_BEHIND_MS),
  });
  try {
    if (pending > 0) yield* fetched(mesh, stream, name);
  } finally {
    await mesh.jsm.consumers.delete(stream, name).catch(() => undefined); // or when nobody has asked for a minute
  }
}

async function* fetched(mesh: Mesh, stream: string, name: string): AsyncGenerator<WalkedMessage> {
  const consumer = await mesh.js.consumers.get(stream, name);
  for (let count = 0; ;) {
    const before = count;
    for await (const message of await consumer.fetch({ max_messages: AT_ONCE, expires: FETCH_MS })) {
      count += 1;
      const { deliverySequence, pending, timestampNanos } = message.info;
      if (deliverySequence !== count) throw incomplete(stream);
      yield {
        subject: message.subject,
        sequence: message.seq,
        written: new Date(timestampNanos / 1e6),
        bytes: Number(message.headers?.get(SIZE) || message.data.byteLength),
        data: message.data,
      };
      if (pending === 0) return;
    }
    if (count > before) continue;
    // What was to come may have been deleted meanwhile.
    if ((await mesh.jsm.consumers.info(stream, name)).num_pending === 0) return;
    throw incomplete(stream);
  }
}

const incomplete = (stream: string): AtelierError =>
  new AtelierError('UNAVAILABLE', `stream ${stream} could not be read to its end: try again`);
