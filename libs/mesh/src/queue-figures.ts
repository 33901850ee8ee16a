import { streams, subjects, workSubjects, type WorkSubject } from '@atelier/contracts';
import type { Mesh } from './mesh';
import { isNotFound } from './nats-errors';
import { consumerName } from './consumer-name';

/** How one queue of work stands. */
export interface QueueFigures {
  subject: WorkSubject;
  waiting: number;
  inHand: number;
  /** When the oldest message that is not done was sent; nothing where there is none. */
  oldest?: Date;
}

export interface StreamFigures {
  stream: string;
  bytes: number;
  messages: number;
  /** Its own limits; nothing where the store's is its only one. */
  limitBytes?: number;
  limitMessages?: number;
}

export function queueFigures(mesh: Mesh): Promise<QueueFigures[]> {
  return Promise.all(workSubjects.map((subject) => queue(mesh, subject)));
}

/** By the consumer and not by the stream: nats-server 2.9 that was killed keeps what was acknowledged a moment before. */
async function queue({ jsm }: Mesh, subject: WorkSubject): Promise<QueueFigures> {
  const info = await jsm.consumers.info(streams.WORK, consumerName(subject));
  const figures = { subject, waiting: info.num_pending, inHand: info.num_ack_pending };
  if (figures.waiting + figures.inHand === 0) return figures;
  const next = { seq: info.ack_floor.stream_seq + 1, next_by_subj: subject };
  try {
    const { time } = await jsm.streams.getMessage(streams.WORK, next);
    return { ...figures, oldest: time };
  } catch (error) {
    if (isNotFound(error)) return figures; // done meanwhile
    throw error;
  }
}

/** Dead letters that are kept, by the subject of their work. */
export async function deadLetterFigures({ jsm }: Mesh): Promise<{ subject: WorkSubject; count: number }[]> {
  const { state } = await jsm.streams.info(streams.DEAD, { subjects_filter: subjects.all.dead });
  return workSubjects.map((subject) => ({ subject, count: state.subjects?.[subjects.dead(subject)] ?? 0 }));
}

/** Of every stream, those that buckets are kept in too. */
export async function streamFigures({ jsm }: Mesh): Promise<StreamFigures[]> {
  const figures: StreamFigures[] = [];
  for await (const { config, state } of jsm.streams.list()) {
    const limit = (most: number): number | undefined => (most > 0 ? most : undefined);
    const { bytes, messages } = state;
    const [limitBytes, limitMessages] = [limit(config.max_bytes), limit(config.max_msgs)];
    figures.push({ stream: config.name, bytes, messages, limitBytes, limitMessages });
  }
  return figures;
}
