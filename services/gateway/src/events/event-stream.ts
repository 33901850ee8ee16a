import { once } from 'node:events';
import type { Response } from 'express';

export interface ServerSentEvent {
  id: number;
  data: unknown;
}

/**
 * Writes server-sent events until they end or the reader leaves. A comment now and then keeps proxies from closing a quiet
 * stream; a slow reader is waited for.
 * `over`: there may be nothing more to come; then a reader is told not to come again (204), as EventSource understands.
 */
export async function sendEvents(
  response: Response,
  events: AsyncGenerator<ServerSentEvent>,
  { heartbeatMs, over }: { heartbeatMs: number; over: boolean },
): Promise<void> {
  let next: IteratorResult<ServerSentEvent> | undefined;
  if (over) {
    next = await events.next();
    if (next.done) return void response.status(204).end();
  }
  response.status(200).set({
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache, no-transform',
    'x-accel-buffering': 'no',
  });
  response.flushHeaders();
  response.write('retry: 2000\n\n');
  const heartbeat = beat(response, heartbeatMs);
  try {
    for (next ??= await events.next(); !next.done; next = await events.next()) {
      if (response.closed || response.destroyed) return;
      const { id, data } = next.value;
      if (!response.write(`id: ${id}\ndata: ${JSON.stringify(data)}\n\n`)) await drained(response);
    }
    response.end();
  } finally {
    clearInterval(heartbeat);
    await events.return(undefined);
  }
}

/** A reader that takes nothing for so many heartbeats is hung up on: it goes on where it was when it comes again. */
const MOST_UNREAD_BEATS = 8;

/** Heartbeats; none is put behind what is not read yet, where they would pile up. */
function beat(response: Response, everyMs: number): NodeJS.Timeout {
  let unread = 0;
  return setInterval(() => {
    unread = response.writableNeedDrain ? unread + 1 : 0;
    if (unread === 0) response.write(': still here\n\n');
    if (unread >= MOST_UNREAD_BEATS) response.destroy();
  }, everyMs);
}

/** Waits for a slow reader, or until it is gone; the listeners of the one that did not happen are taken away again. */
async function drained(response: Response): Promise<void> {
  if (response.closed) return;
  const settled = new AbortController();
  const { signal } = settled;
  try {
    await Promise.race([once(response, 'drain', { signal }), once(response, 'close', { signal })]);
  } finally {
    settled.abort();
  }
}
