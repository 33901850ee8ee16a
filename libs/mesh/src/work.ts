import type { Logger } from './logging';
import type { Outcome } from './outcome';
import type { MessageType } from './publish';

export interface WorkContext {
  /** Renews the message's lease now; it is also renewed by itself while the handler runs. */
  working(): void;
  /**
   * Of those since the work last got further, this one among them: 1 at the first, and again after a service that was
   * only stopped.
   */
  readonly attempt: number;
  /**
   * To be called when something is kept that need not be done again: the attempts that came to nothing before it count
   * no more.
   */
  progress(): Promise<void>;
  /** Raised when the service is asked to stop: put down what you do where it can go on, and return retryLater(0, …). */
  readonly signal: AbortSignal;
}

export type HandleWork<T> = (message: T, context: WorkContext) => Promise<Outcome>;

export interface WorkerOptions<I, T> {
  subject: string;
  type: MessageType<I, T>;
  /** Messages handled at once. Default 1. */
  concurrency?: number;
  signal: AbortSignal;
  logger?: Logger;
  /**
   * What to say of a message whose attempts are used up: its handler threw at the last one, or its service died at
   * each. Whoever waits for its result is to be told here. Default: a dead letter with the reason.
   */
  onExhausted?: (message: T, reason: string) => Promise<Outcome>;
  /** Called after each message: for metrics. */
  onOutcome?: (outcome: Outcome, seconds: number) => void;
}
