import { streams, type WorkSubject } from '@atelier/contracts';
import type { Mesh } from './mesh';
import { isNotFound } from './nats-errors';
import { consumerName } from './consumer-name';
import { publishWork, type MessageType } from './publish';

export interface OnceOptions {
  /** Everybody who may ask for the same says the same. */
  msgId: string;
  /** Whether what is asked for is there, or not wanted any more. */
  settled: () => Promise<boolean>;
}

/**
 * Puts work on its queue unless it waits there, or is in hand, under this id already: whoever asks, and however often,
 * it is one message. What was asked for before, is on the queue no more and is not settled is asked for anew: it was
 * given up, or lost, or what came of it has been cleared away.
 * @returns the place in the queue's stream of the message that stands for it
 */
export async function publishWorkOnce<I, T>(
  mesh: Mesh,
  subject: WorkSubject,
  type: MessageType<I, T>,
  message: I,
  { msgId, settled }: OnceOptions,
): Promise<number> {
  let { sequence, duplicate } = await publishWork(mesh, subject, type, message, { msgId });
  while (duplicate && !(await isQueued(mesh, subject, sequence))) {
    if (await settled()) return sequence;
    // Whoever finds the same message to be over asks under the same next id: of several at once one is stored.
    ({ sequence, duplicate } = await publishWork(mesh, subject, type, message, { msgId: `${msgId}.${sequence}` }));
  }
  return sequence;
}

export interface WorkLeft {
  /** That wait or are in hand: by the consumer and not by the stream, for the reason below. */
  messages: number;
  /** The last that was handed out, by its place in the queue's stream. */
  delivered: number;
  /** The last place that the stream has given, to whatever subject. */
  lastSequence: number;
}

/** What a work subject's queue holds. Those who find the same at once know each other by its places. */
export async function workLeft({ jsm }: Mesh, subject: WorkSubject): Promise<WorkLeft> {
  const { state } = await jsm.streams.info(streams.WORK);
  const { num_pending, num_ack_pending, delivered } = await jsm.consumers.info(streams.WORK, consumerName(subject));
  return {
    messages: num_pending + num_ack_pending,
    delivered: delivered.stream_seq,
    lastSequence: state.last_seq,
  };
}

/**
 * Whether a message waits or is in hand. Not by the stream alone: nats-server 2.9 that was killed finds again on its
 * disk what was acknowledged a moment before, keeps it, and hands it to nobody.
 */
export async function isQueued({ jsm }: Mesh, subject: string, sequence: number): Promise<boolean> {
  const { ack_floor: handled } = await jsm.consumers.info(streams.WORK, consumerName(subject));
  if (sequence <= handled.stream_seq) return false;
  try {
    await jsm.streams.getMessage(streams.WORK, { seq: sequence });
    return true;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}
