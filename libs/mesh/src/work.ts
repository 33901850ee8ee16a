import type { WorkSubject } from '@atelier/contracts';
import type { Logger } from './logging';
import type { Outcome } from './outcome';
import type { MessageType } from './publish';
import type { WorkIds } from './tracing/context';

export interface WorkContext {
  /** Renews the message's lease now; it is also renewed by itself while the handler runs. */
  working(): void;
  /** Which message it is: its place in the queue's stream, the same each time that it comes. */
  readonly sequence: number;
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
  /** Raised when the service is asked to stop: put down what you do where it can go on, and say 'put down'. */
  readonly signal: AbortSignal;
}

/** What is known of work that is given up. */
export interface GivenUpContext {
  /** In words for people. */
  readonly reason: string;
  /** Which message it was: its place in the queue's stream. */
  readonly sequence: number;
}

export type HandleWork<T> = (work: T, context: WorkContext) => Promise<Outcome>;

export interface WorkerOptions<I, T> {
  subject: WorkSubject;
  type: MessageType<I, T>;
  /** Messages handled at once. Default 1. */
  concurrency?: number;
  /** Takes one message, and ends when it is settled. */
  once?: boolean;
  signal: AbortSignal;
  logger?: Logger;
  /** Resolves when work may be taken, or at the signal: what the service needs is there. Default: at once. */
  whenReady?: (signal: AbortSignal) => Promise<void>;
  /** Whether what the service needs is there now: work that failed without it is not given up. */
  isReady?: () => Promise<boolean>;
  /** What a person knows the work by. */
  name?: (work: T) => string;
  /** What it is about: its log lines and its span have them. */
  ids?: (work: T) => WorkIds;
  /**
   * Tells whoever waits for its result that the work is given up: it cannot be done, its handler threw at the last
   * attempt, or its service died at each. The dead letter is written after that.
   */
  giveUp?: (work: T, context: GivenUpContext) => Promise<void>;
  /** Called after each message: for metrics. */
  onOutcome?: (outcome: Outcome, seconds: number) => void;
}
