import { streams } from '@atelier/contracts';
import type { Consumer, JsMsg } from 'nats';
import { setTimeout as sleep } from 'node:timers/promises';
import { Attempts } from './attempts';
import { Handling } from './handling';
import type { Mesh } from './mesh';
import { consumerName } from './consumer-name';
import { workPolicies } from './provision';
import type { WorkerOptions, HandleWork } from './work';

/**
 * Takes messages of one work subject until the signal, then waits for those in hand. A message leaves the queue only when its handler
 * says done or when it was written to stream DEAD; an error that is thrown counts as retryLater.
 */
export async function runWorker<I, T>(mesh: Mesh, options: WorkerOptions<I, T>, handler: HandleWork<T>): Promise<void> {
  const { subject, once = false, signal, logger, whenReady } = options;
  const concurrency = once ? 1 : (options.concurrency ?? 1);
  const attempts = new Attempts(mesh, workPolicies[subject].maxAttempts, logger);
  const inHand = new Set<Promise<void>>();
  let consumer: Consumer | undefined;
  while (!signal.aborted) {
    if (inHand.size >= concurrency) {
      await Promise.race(inHand);
      continue;
    }
    await whenReady?.(signal);
    if (signal.aborted) break;
    try {
      consumer ??= await mesh.js.consumers.get(streams.WORK, consumerName(subject));
      const message = await takeOne(consumer, attempts, signal);
      if (!message) continue;
      const attempt = await attempts.begin(message);
      const task = new Handling(mesh, message, attempt, options, handler).run().finally(() => inHand.delete(task));
      inHand.add(task);
      // What comes again may be what the service died over: whatever was in hand beside it has one attempt less, so
      // nothing more is taken until it is over.
      if (attempt.number > 1 || once) await task;
      if (once) return;
    } catch (error) {
      consumer = undefined;
      if (signal.aborted) break;
      logger?.warn({ subject, error: (error as Error).message }, 'cannot reach the queue, trying again');
      await sleep(500, undefined, { signal }).catch(() => undefined);
    }
  }
  await Promise.allSettled(inHand);
}

/**
 * One message, asked for only now that a hand is free: a message that is fetched ahead has its lease running while nobody works on it,
 * comes again elsewhere, as if somebody had died over it. (The client's `consume` always fetches ahead.) Null after a
 * while, or at the signal.
 */
async function takeOne(consumer: Consumer, attempts: Attempts, signal: AbortSignal): Promise<JsMsg | null> {
  const next = consumer.next({ expires: 5_000 });
  let stop: (() => void) | undefined;
  const stopped = new Promise<null>((resolve) =>
    signal.addEventListener('abort', (stop = () => resolve(null)), { once: true }),
  );
  try {
    const message = await Promise.race([next, stopped]);
    if (!message)
      next.then(
        (late) => late && putBack(late, attempts),
        () => undefined,
      );
    return message;
  } finally {
    if (stop) signal.removeEventListener('abort', stop);
  }
}

/** Whatever comes after the signal goes back at once. */
function putBack(message: JsMsg, attempts: Attempts): void {
  attempts.spare(message).catch(() => undefined);
  message.nak();
}
