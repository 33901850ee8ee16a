import { AtelierError } from '@atelier/contracts';
import type { NatsError } from 'nats';
import { isOutOfRoom } from './nats-errors';

const MARK = { store: 'full' };

/**
 * No room for what was to be written. It passes: nothing is wrong with the work, and what was written before is there.
 */
export class StoreFull extends AtelierError {
  constructor(message: string, details: Record<string, string> = {}, options?: ErrorOptions) {
    super('RESOURCE_EXHAUSTED', message, { ...MARK, ...details }, options);
  }
}

/**
 * Also of an error that came over a call, where only its code and details travel, and of what nats-server says itself.
 */
export function isStoreFull(error: unknown): boolean {
  if (error instanceof AtelierError)
    return error.code === 'RESOURCE_EXHAUSTED' && error.details['store'] === MARK.store;
  return isOutOfRoom(error);
}

/** A write whose refusal for lack of room comes as StoreFull, with what to do. */
export async function orStoreFull<T>(write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    throw isStoreFull(error) ? asStoreFull(error) : error;
  }
}

/** The same refusal in words for people, where it is still nats-server's. */
export function asStoreFull(error: unknown): AtelierError {
  if (error instanceof AtelierError) return error;
  const said = (error as NatsError).api_error?.description ?? (error as Error).message;
  return new StoreFull(`the store is full: nats-server takes no more (${said}). ${REMEDY}`, {}, { cause: error });
}

export const REMEDY =
  'Free space on its disk, or delete data sets, adapters and pictures that are no longer needed ' +
  '("atelier store" says what takes how much; "atelier rm", "atelier gc")';
