import {
  LatentsWork,
  PromptsWork,
  streams,
  subjects,
  type ILatentsWork,
  type IPromptsWork,
  type TensorKind,
} from '@atelier/contracts';
import { consumerName, publishWork, type Mesh, type Published } from '@atelier/mesh';
import { NatsError } from 'nats';
import { TensorStore } from './tensors';

/** Asks for a picture's latents, once: see askOnce. */
export function askForLatents(mesh: Mesh, work: ILatentsWork): Promise<void> {
  return askOnce(mesh, 'latents', work, (msgId) =>
    publishWork(mesh, subjects.work.latents, LatentsWork, work, { msgId }),
  );
}

/** Asks for a caption's prompt embeds, once: see askOnce. */
export function askForPrompts(mesh: Mesh, work: IPromptsWork): Promise<void> {
  return askOnce(mesh, 'prompts', work, (msgId) =>
    publishWork(mesh, subjects.work.prompts, PromptsWork, work, { msgId }),
  );
}

/**
 * A key is on its queue once for each data set, whoever asks and however often: the data set itself, a run on it, the
 * same message delivered again. What was asked for before and is on the queue no more is asked for anew: it could not be
 * encoded, or was lost, or what was made of it has been cleared away.
 *
 * For each data set, since what the encoders tell names one: of two that share a picture, both are told, and nothing
 * depends on what becomes of the other. The second is answered from the store.
 */
async function askOnce(
  mesh: Mesh,
  kind: TensorKind,
  { key, datasetId }: { key?: string | null; datasetId?: string | null },
  publish: (msgId: string) => Promise<Published>,
): Promise<void> {
  const ask = `${kind}.${key}.${datasetId}`;
  let { sequence, duplicate } = await publish(ask);
  while (duplicate && !(await isQueued(mesh, kind, sequence))) {
    if (await new TensorStore(mesh).has(kind, key ?? '')) return; // made since whoever asks found that it was missing
    // Whoever finds the same ask to be over asks under the same next id: of several at once one is stored.
    ({ sequence, duplicate } = await publish(`${ask}.${sequence}`));
  }
}

/**
 * Not by the stream alone: nats-server 2.9 that was killed finds again on its disk what was acknowledged a moment
 * before, keeps it, and hands it to nobody.
 */
async function isQueued({ jsm }: Mesh, kind: TensorKind, sequence: number): Promise<boolean> {
  const { ack_floor: handled } = await jsm.consumers.info(streams.WORK, consumerName(subjects.work[kind]));
  if (sequence <= handled.stream_seq) return false;
  try {
    await jsm.streams.getMessage(streams.WORK, { seq: sequence });
    return true;
  } catch (error) {
    if (isNoMessage(error)) return false;
    throw error;
  }
}

/** "no message found". */
function isNoMessage(error: unknown): boolean {
  return error instanceof NatsError && error.api_error?.err_code === 10037;
}
