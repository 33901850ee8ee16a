import { AtelierError, type ErrorCode } from '@atelier/contracts';
import { isStoreFull } from './store-full';

/** What became of a message: a value that the handler chooses, not a side effect of throwing. */
export type Outcome = Done | RetryLater | DeadLetterOutcome | Left;

export interface Done {
  readonly kind: 'done';
}
export interface RetryLater {
  readonly kind: 'retry';
  readonly delayMs: number;
  readonly reason: string;
}
/**
 * Someone else has it by now: the message is neither acknowledged nor given back, which would take it from them, and
 * what was tried here counts as no attempt.
 */
export interface Left {
  readonly kind: 'left';
}
export interface DeadLetterOutcome {
  readonly kind: 'dead';
  readonly reason: string;
  /** What a person knows the work by: a file name, an adapter. */
  readonly name: string;
}

/**
 * How a handler of a service may end, too: nothing more is to be done, it was asked to stop and the work goes on
 * elsewhere, or another has taken the same message over.
 */
export type Ending = 'over' | 'put down' | 'taken over';

export const done: Done = { kind: 'done' };
export const left: Left = { kind: 'left' };
export const retryLater = (delayMs: number, reason: string): RetryLater => ({ kind: 'retry', delayMs, reason });
export const deadLetter = (reason: string, name = ''): DeadLetterOutcome => ({ kind: 'dead', reason, name });

/** What a handler returned as what becomes of its message. Nest lets it return anything. */
export function outcomeOf(returned: unknown): Outcome {
  if (returned === undefined || returned === 'over') return done;
  if (returned === 'put down') return retryLater(0, 'it was put down');
  if (returned === 'taken over') return left;
  if (typeof returned === 'object' && returned !== null && 'kind' in returned) return returned as Outcome;
  throw new Error(
    `${JSON.stringify(returned)} is no outcome of work: return nothing, 'over', 'put down', 'taken over' or an Outcome`,
  );
}

/** What may be otherwise at the next try. */
const PASSING: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'CANCELLED',
  'UNKNOWN',
  'DEADLINE_EXCEEDED',
  'ABORTED',
  'UNAVAILABLE',
]);

/**
 * Whether the same work would fail the same way again: then its reason is told instead of trying. Errors that are not
 * ours, and a full store, may pass.
 */
export function isPermanent(error: unknown): error is AtelierError {
  return error instanceof AtelierError && !PASSING.has(error.code) && !isStoreFull(error);
}
