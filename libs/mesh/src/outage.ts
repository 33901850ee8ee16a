import { setTimeout as sleep } from 'node:timers/promises';
import { isClosedByUs, isMeshAway, isTimeout } from './nats-errors';
import { isStoreFull } from './store-full';

export interface OutageOptions {
  signal?: AbortSignal;
  /** How long the mesh may be away before its error is passed on. Default: two minutes. */
  patienceMs?: number;
  /** What a full store is: waited for as long as it takes, which is the default, or passed on at once. */
  full?: 'wait' | 'pass on';
}

/**
 * How a store asks the mesh: throughOutage for long jobs, which a restart of nats-server should not cost; or at once,
 * so that who asked hears of what is wrong.
 */
export type Patience = <T>(ask: () => Promise<T>, options?: OutageOptions) => Promise<T>;

export const atOnce: Patience = (ask) => ask();

/** How long a service that is asked to stop waits for a mesh that is away. */
export const STOPPING_PATIENCE_MS = 5000;

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2000;
const FULL_PAUSE_MS = 2000;

/**
 * For long jobs, which a restart of nats-server should not cost: does what is asked of the mesh again until it answers. Only for what may
 * be done twice. Errors that are not the mesh's, refusals by JetStream itself, and a connection that we closed are
 * passed on at once. A full store is waited for without an end, since a person has to make room: the work is kept, and
 * losing it would make none.
 */
export async function throughOutage<T>(
  ask: () => Promise<T>,
  { signal, patienceMs = 120_000, full = 'wait' }: OutageOptions = {},
): Promise<T> {
  const deadline = Date.now() + patienceMs;
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    try {
      return await ask();
    } catch (error) {
      signal?.throwIfAborted();
      if (isStoreFull(error)) {
        if (full === 'pass on') throw error;
        await pauseFor(FULL_PAUSE_MS, signal);
        continue;
      }
      if (!isOutage(error) || Date.now() > deadline) throw error;
      await pauseFor(pause, signal);
    }
  }
}

async function pauseFor(ms: number, signal?: AbortSignal): Promise<void> {
  // the sleep's own error would hide the signal's reason
  await sleep(ms, undefined, { signal }).catch(() => signal?.throwIfAborted());
}

/**
 * Whether an error came of the mesh being away, and not of what was asked: itself, or what it was made from. An answer
 * that came too late says so only where the connection was lost meanwhile: a process that is busy with one file for
 * long hears no answers either.
 */
export function isFromOutage(error: unknown, interrupted: boolean): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (isOutage(cause)) return interrupted || !isTimeout(cause);
  }
  return false;
}

function isOutage(error: unknown): boolean {
  return isMeshAway(error) && !isClosedByUs(error);
}
