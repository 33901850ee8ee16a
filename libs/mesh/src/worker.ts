import { headers as names, streams, subjects } from '@atelier/contracts';
import { headers, type Consumer, type JsMsg } from 'nats';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from './logging';
import type { Mesh } from './mesh';
import { deadLetter, retryLater, type Outcome } from './outcome';
import { consumerName, workPolicies } from './provision';
import { publishEvent, type MessageType } from './publish';

export interface WorkContext {
  /** Renews the message's lease now; it is also renewed by itself while the handler runs. */
  working(): void;
  /** 1 at the first delivery. */
  readonly deliveries: number;
  readonly redelivered: boolean;
  /** The last delivery before the message is given up. */
  readonly lastDelivery: boolean;
  /** Raised when the service is asked to stop: put down what you do where it can go on, and return retryLater(0, …). */
  readonly signal: AbortSignal;
}

export type WorkHandler<T> = (message: T, context: WorkContext) => Promise<Outcome>;

export interface WorkerOptions<I, T> {
  subject: string;
  type: MessageType<I, T>;
  /** Messages handled at once. Default 1. */
  concurrency?: number;
  signal: AbortSignal;
  logger?: Logger;
  /**
   * What to say of a message whose tries are used up though no handler ever said so, because the service died each time. Whoever waits for
   * its result is to be told here. Default: a dead letter with the reason.
   */
  onExhausted?: (message: T, reason: string) => Promise<Outcome>;
  /** Called after each message: for metrics. */
  onOutcome?: (outcome: Outcome, seconds: number) => void;
}

/** First pause after an error, doubled each time up to the longest. */
const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 30_000;

/**
 * Takes messages of one work subject until the signal, then waits for those in hand. A message leaves the queue only when its handler
 * says done or when it was written to stream DEAD; an error that is thrown counts as retryLater.
 */
export async function runWorker<I, T>(mesh: Mesh, options: WorkerOptions<I, T>, handler: WorkHandler<T>): Promise<void> {
  const { subject, type, concurrency = 1, signal, logger } = options;
  const policy = workPolicies[subject];
  if (!policy) throw new Error(`no work policy for ${subject}: add it in libs/mesh/src/provision.ts`);
  const inHand = new Set<Promise<void>>();
  let consumer: Consumer | undefined;
  while (!signal.aborted) {
    if (inHand.size >= concurrency) {
      await Promise.race(inHand);
      continue;
    }
    try {
      consumer ??= await mesh.js.consumers.get(streams.WORK, consumerName(subject));
      const message = await takeOne(consumer, signal);
      if (!message) continue;
      const task = handleOne(mesh, message, type, policy, handler, options).finally(() => inHand.delete(task));
      inHand.add(task);
      // What comes again may be what the service died over: whatever was in hand beside it has one try less, so nothing more is taken until it is over.
      if (message.info.deliveryCount > 1) await task;
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
 * comes again elsewhere and uses up its tries. (The client's `consume` always fetches ahead.) Null after a while, or at the signal.
 */
async function takeOne(consumer: Consumer, signal: AbortSignal): Promise<JsMsg | null> {
  const next = consumer.next({ expires: 5_000 });
  let stop: (() => void) | undefined;
  const stopped = new Promise<null>((resolve) => signal.addEventListener('abort', (stop = () => resolve(null)), { once: true }));
  try {
    const message = await Promise.race([next, stopped]);
    // Whatever comes after the signal goes back at once.
    if (!message) next.then((late) => late?.nak(), () => undefined);
    return message;
  } finally {
    if (stop) signal.removeEventListener('abort', stop);
  }
}

async function handleOne<I, T>(
  mesh: Mesh,
  message: JsMsg,
  type: MessageType<I, T>,
  policy: { ackWaitMs: number; maxDeliver: number },
  handler: WorkHandler<T>,
  { signal, logger, onExhausted, onOutcome }: WorkerOptions<I, T>,
): Promise<void> {
  const started = Date.now();
  const deliveries = message.info.deliveryCount;
  const heartbeat = setInterval(() => message.working(), policy.ackWaitMs / 3);
  let outcome: Outcome;
  try {
    if (deliveries > policy.maxDeliver) {
      const reason = `the service died while handling it, ${policy.maxDeliver} times`;
      outcome = onExhausted ? await onExhausted(type.decode(message.data), reason) : deadLetter(reason);
    } else {
      const context = { working: () => message.working(), deliveries, redelivered: message.redelivered, lastDelivery: deliveries >= policy.maxDeliver, signal };
      outcome = await handler(type.decode(message.data), context);
    }
  } catch (error) {
    const reason = (error as Error).message;
    logger?.error({ subject: message.subject, deliveries, error: (error as Error).stack }, 'handler failed');
    outcome = retryLater(Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** (deliveries - 1)), reason);
  }
  // A service that is being stopped gives its work back; that is not the work's fault.
  if (outcome.kind === 'retry' && deliveries >= policy.maxDeliver && !signal.aborted) outcome = deadLetter(`${outcome.reason} (given up after ${deliveries} tries)`);
  try {
    await settle(mesh, message, outcome, deliveries);
  } catch (error) {
    // Unsettled, it comes back after ackWait: twice done is done.
    logger?.warn({ subject: message.subject, error: (error as Error).message }, 'could not settle a message; it will come again');
  } finally {
    clearInterval(heartbeat);
  }
  onOutcome?.(outcome, (Date.now() - started) / 1000);
}

async function settle(mesh: Mesh, message: JsMsg, outcome: Outcome, deliveries: number): Promise<void> {
  switch (outcome.kind) {
    case 'done':
      await message.ackAck();
      return;
    case 'retry':
      message.nak(outcome.delayMs);
      return;
    case 'dead': {
      const h = headers();
      h.set(names.reason, outcome.reason.replace(/[\r\n]+/g, ' '));
      h.set(names.messageId, `dead.${message.info.stream}.${message.seq}`);
      await mesh.js.publish(subjects.dead(message.subject), message.data, { headers: h });
      const letter = { subject: message.subject, reason: outcome.reason, deliveries, name: outcome.name };
      await publishEvent(mesh, subjects.event('dead', String(message.seq), 'letter'), { deadLetter: letter });
      await message.ackAck();
      return;
    }
    default: {
      const impossible: never = outcome;
      throw new Error(`unknown outcome ${JSON.stringify(impossible)}`);
    }
  }
}
