import { AtelierClient } from '@atelier/client';
import { toDate } from '@atelier/contracts';
import type { StreamedEvent, ToldEvent } from '@atelier/jobs';
import { isJunk } from '@atelier/store';
import { viewAdapter } from '../adapters/adapter.view';
import { viewDataset } from '../datasets/dataset.view';
import { viewEvent } from '../events/event.view';
import { viewRun } from '../finetunes/finetune.view';
import { viewDrawing } from '../images/drawing.view';

/** A thing whose description is larger is not sent with its event: a data set may list thousands of refused files. */
const LARGEST_OBJECT = 256 * 1024;

export interface CloudEvent {
  specversion: '1.0';
  id: string;
  source: string;
  type: string;
  subject: string;
  time: string;
  datacontenttype: 'application/json';
  data: object;
}

/** The same however often it is delivered; with its time, since another store counts from 1 again. */
export function messageId({ sequence, event }: StreamedEvent): string {
  return `evt-${(toDate(event.time)?.getTime() ?? 0).toString(36)}-${sequence}`;
}

/**
 * An event in CloudEvents 1.0's words: what the event streams say of it, and beside it the thing itself as the API gives
 * it at this moment.
 */
export async function cloudEvent(
  client: AtelierClient,
  streamed: StreamedEvent,
  { kind, id, type }: Pick<ToldEvent, 'kind' | 'id' | 'type'>,
  address: string,
): Promise<CloudEvent> {
  const object = await objectOf(client, kind, id, address);
  const whole = JSON.stringify(object).length <= LARGEST_OBJECT;
  return {
    ...envelope(streamed, `${kind}.${type}`, id, address),
    data: { ...viewEvent(streamed, address), object: whole ? object : null },
  };
}

/** What somebody asked for to see whether it comes. */
export function pingEvent(streamed: StreamedEvent, webhookId: string, address: string): CloudEvent {
  const data = { kind: 'webhook', id: webhookId, type: 'ping', object: null };
  return { ...envelope(streamed, 'webhook.ping', webhookId, address), data };
}

function envelope(streamed: StreamedEvent, type: string, subject: string, address: string): Omit<CloudEvent, 'data'> {
  return {
    specversion: '1.0',
    id: messageId(streamed),
    source: address || '/atelier',
    type: `dev.atelier.${type}`,
    subject,
    time: (toDate(streamed.event.time) ?? new Date(0)).toISOString(),
    datacontenttype: 'application/json',
  };
}

/** Null where it is gone by now, cannot be read, or is nothing that the API gives. */
async function objectOf(client: AtelierClient, kind: string, id: string, address: string): Promise<object | null> {
  try {
    if (kind === 'run') return viewRun(await client.run(id));
    if (kind === 'dataset') return viewDataset(await client.dataset(id));
    if (kind === 'drawing') return viewDrawing(await client.generation(id), address);
    if (kind === 'adapter') return viewAdapter(await client.adapter(id));
  } catch (error) {
    if ((error as { code?: string }).code !== 'NOT_FOUND' && !isJunk(error)) throw error;
  }
  return null;
}
