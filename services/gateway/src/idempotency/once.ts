import { createHash } from 'node:crypto';
import { repeatable, type Repeatable } from '@atelier/client';

interface Keyed {
  entry: string;
  firstAt: Date;
  done: boolean;
}

const keyed = new WeakMap<object, Keyed>();

export function noteKeyed(request: object, how: Keyed): void {
  keyed.set(request, how);
}

/** The id for what a request with an Idempotency-Key makes; undefined for one without. */
export function onceOf(request: object, kind: Parameters<typeof repeatable>[0]): Repeatable | undefined {
  const how = keyed.get(request);
  return how && repeatable(kind, how.firstAt, createHash('sha256').update(how.entry).digest(), how.done);
}

/** When the first try of such a request began. */
export const firstTryAt = (request: object): Date | undefined => keyed.get(request)?.firstAt;
