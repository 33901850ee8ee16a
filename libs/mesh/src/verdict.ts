import type { JsMsg } from 'nats';
import type { Attempt } from './attempts';
import type { Mesh } from './mesh';
import { isFromOutage } from './outage';
import { deadLetter, isPermanent, retryLater, type Outcome } from './outcome';
import { workPolicies } from './provision';
import { isStoreFull } from './store-full';
import { noteIds } from './tracing/context';
import type { HandleWork, WorkContext, WorkerOptions } from './work';

/** First pause after an attempt that came to nothing, doubled each time up to the longest. */
const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 30_000;
/** After an attempt that the mesh was away for. */
const AWAY_RETRY_MS = 2000;
/** After one that failed while something was missing that the service needs: it takes no more until that is there. */
const UNREADY_RETRY_MS = 1000;

/**
 * What becomes of one message: the one place that says what it means that its work cannot be done at all, threw, threw
 * at its last attempt, was put down, or that the mesh was away or its store full meanwhile.
 */
export class Verdict<I, T> {
  constructor(
    private readonly mesh: Mesh,
    private readonly message: JsMsg,
    private readonly attempt: Attempt,
    private readonly options: WorkerOptions<I, T>,
    /** Whether the mesh was away since the message came. */
    private readonly interrupted: () => boolean,
  ) {}

  /** Has the work done, as far as that is still to be tried. Never rejects. */
  async on(handler: HandleWork<T>): Promise<Outcome> {
    const { attempt, message, options } = this;
    let work: T;
    try {
      work = options.type.decode(message.data);
    } catch (error) {
      return deadLetter(`it is no message of ${message.subject}: ${(error as Error).message}`);
    }
    noteIds(options.ids?.(work) ?? {});
    if (attempt.exhausted) {
      const times = `${this.most} times in a row without getting further`;
      return this.giveUp(work, `the service died while handling it, ${times}`);
    }
    try {
      const outcome = await this.handle(work, handler);
      if (outcome.kind === 'left') await attempt.excuse();
      return outcome.kind === 'retry' ? await this.again(work, outcome.reason, outcome.delayMs) : outcome;
    } catch (error) {
      return this.failed(work, error as Error);
    }
  }

  private get most(): number {
    return workPolicies[this.options.subject].maxAttempts;
  }

  /**
   * A full store is nobody's fault: the message stays in hand, its lease renewed, and is handled again once there is
   * room, so that none of its attempts is used up however long that takes.
   */
  private async handle(work: T, handler: HandleWork<T>): Promise<Outcome> {
    const { attempt, message, options } = this;
    const context: WorkContext = {
      working: () => message.working(),
      sequence: message.seq,
      attempt: attempt.number,
      progress: () => attempt.progress(),
      signal: options.signal,
    };
    for (;;) {
      try {
        return await handler(work, context);
      } catch (error) {
        if (!isStoreFull(error) || options.signal.aborted) throw error;
        await this.roomAgain(error as Error);
      }
    }
  }

  private async roomAgain({ message }: Error): Promise<void> {
    const { logger, signal, subject } = this.options;
    logger?.warn({ subject, error: message }, 'waits until there is room in the store');
    await this.mesh.room.until(signal);
  }

  private async failed(work: T, error: Error): Promise<Outcome> {
    const { attempt, options } = this;
    if (options.isReady && !(await options.isReady())) {
      await attempt.excuse();
      return retryLater(UNREADY_RETRY_MS, error.message);
    }
    // What fails in a service that stops may be its stopping.
    if (isPermanent(error) && !options.signal.aborted) return this.giveUp(work, error.message);
    const facts = { subject: options.subject, attempt: attempt.number, error: error.stack };
    options.logger?.error(facts, 'handler failed');
    const delayMs = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** (attempt.number - 1));
    return this.again(work, error.message, delayMs, error);
  }

  /**
   * Of work that is not done: once more, unless its attempts are used up. A service that stops gives it back, and an
   * outage is not its fault.
   */
  private async again(work: T, reason: string, delayMs: number, error?: unknown): Promise<Outcome> {
    const { attempt, options } = this;
    if (options.signal.aborted) {
      await attempt.excuse();
      return retryLater(0, 'the service stops');
    }
    if (isFromOutage(error, this.interrupted())) {
      await attempt.excuse();
      return retryLater(AWAY_RETRY_MS, reason);
    }
    if (attempt.number < this.most) return retryLater(delayMs, reason);
    return this.giveUp(work, `given up after ${attempt.number} attempts: ${reason}`);
  }

  private async giveUp(work: T, reason: string): Promise<Outcome> {
    const { giveUp, logger, name, signal, subject } = this.options;
    for (;;) {
      try {
        await giveUp?.(work, { reason, sequence: this.message.seq });
        break;
      } catch (error) {
        // Whoever waits for the result is to be told: later, where only the mesh is away or its store full.
        if (isFromOutage(error, this.interrupted())) return retryLater(AWAY_RETRY_MS, reason);
        if (isStoreFull(error) && signal.aborted) return retryLater(0, reason);
        if (isStoreFull(error)) {
          await this.roomAgain(error as Error);
          continue;
        }
        logger?.error({ subject, error: (error as Error).stack }, 'could not give work up in order');
        break;
      }
    }
    return deadLetter(reason, name?.(work));
  }
}
