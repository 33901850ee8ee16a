import { eventSubjects, headers as names, subjects } from '@atelier/contracts';
import { headers, type JsMsg } from 'nats';
import type { Attempt } from './attempts';
import type { Mesh } from './mesh';
import { isFromOutage, throughOutage } from './outage';
import { deadLetter, retryLater, type Outcome } from './outcome';
import { workPolicies } from './provision';
import { publishEvent } from './publish';
import type { WorkerOptions, HandleWork } from './work';

/** First pause after an attempt that came to nothing, doubled each time up to the longest. */
const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 30_000;
/** After an attempt that the mesh was away for. */
const AWAY_RETRY_MS = 2000;
/** How long the server may take to confirm that a message is settled, and a service that stops asks for it. */
const CONFIRM_MS = 3000;
const STOPPING_PATIENCE_MS = 5000;

/** One message in hand, from its delivery to its settlement. */
export class Handling<I, T> {
  private readonly policy: { ackWaitMs: number; maxAttempts: number };
  private readonly interruptions: number;

  constructor(
    private readonly mesh: Mesh,
    private readonly message: JsMsg,
    private readonly attempt: Attempt,
    private readonly options: WorkerOptions<I, T>,
    private readonly handler: HandleWork<T>,
  ) {
    this.policy = workPolicies[options.subject]!;
    this.interruptions = mesh.interruptions;
  }

  /** Never rejects: a message that cannot be settled comes again. */
  async run(): Promise<void> {
    const started = Date.now();
    const { attempt, message } = this;
    const { signal, logger, onOutcome } = this.options;
    // Noted when the signal comes, not when the work is put down: a service that outstays its grace is killed before
    // that, and was stopped all the same.
    const excuse = (): void => void attempt.excuse();
    const heartbeat = setInterval(() => {
      message.working();
      if (this.interrupted) excuse();
    }, this.policy.ackWaitMs / 3);
    signal.addEventListener('abort', excuse, { once: true });
    if (signal.aborted) excuse();
    const outcome = await this.outcome();
    try {
      await this.settle(outcome);
    } catch (error) {
      // Unsettled, it comes back after ackWait: twice done is done.
      logger?.warn(
        { subject: message.subject, error: (error as Error).message },
        'could not settle a message; it will come again',
      );
    } finally {
      clearInterval(heartbeat);
      signal.removeEventListener('abort', excuse);
    }
    onOutcome?.(outcome, (Date.now() - started) / 1000);
  }

  /**
   * Whether the mesh was away since the message came: then it may have been delivered to another by now, though nobody
   * died over it.
   */
  private get interrupted(): boolean {
    return this.mesh.interruptions !== this.interruptions;
  }

  private async outcome(): Promise<Outcome> {
    const { attempt, message, options, policy } = this;
    let work: T;
    try {
      work = options.type.decode(message.data);
    } catch (error) {
      return deadLetter(`it is no message of ${message.subject}: ${(error as Error).message}`);
    }
    if (attempt.exhausted) {
      const times = `${policy.maxAttempts} times in a row without getting further`;
      return this.giveUp(work, `the service died while handling it, ${times}`);
    }
    try {
      const context = {
        working: () => message.working(),
        attempt: attempt.number,
        progress: () => attempt.progress(),
        signal: options.signal,
      };
      const outcome = await this.handler(work, context);
      return outcome.kind === 'retry' ? await this.again(work, outcome.reason, outcome.delayMs) : outcome;
    } catch (error) {
      options.logger?.error(
        { subject: message.subject, attempt: attempt.number, error: (error as Error).stack },
        'handler failed',
      );
      const delayMs = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** (attempt.number - 1));
      return this.again(work, (error as Error).message, delayMs, error);
    }
  }

  /**
   * Of work that is not done: once more, unless its attempts are used up. A service that stops gives it back, and an
   * outage is not its fault.
   */
  private async again(work: T, reason: string, delayMs: number, error?: unknown): Promise<Outcome> {
    const { attempt, options, policy } = this;
    if (options.signal.aborted) {
      await attempt.excuse();
      return retryLater(0, 'the service stops');
    }
    if (isFromOutage(error, this.interrupted)) {
      await attempt.excuse();
      return retryLater(AWAY_RETRY_MS, reason);
    }
    if (attempt.number < policy.maxAttempts) return retryLater(delayMs, reason);
    return this.giveUp(work, `given up after ${attempt.number} attempts: ${reason}`);
  }

  private async giveUp(work: T, reason: string): Promise<Outcome> {
    try {
      return (await this.options.onExhausted?.(work, reason)) ?? deadLetter(reason);
    } catch (error) {
      // Whoever waits for the result is to be told: later, where only the mesh is away.
      if (isFromOutage(error, this.interrupted)) return retryLater(AWAY_RETRY_MS, reason);
      this.options.logger?.error(
        { subject: this.message.subject, error: (error as Error).stack },
        'could not give work up in order',
      );
      return deadLetter(reason);
    }
  }

  private async settle(outcome: Outcome): Promise<void> {
    if (outcome.kind === 'retry') {
      this.message.nak(outcome.delayMs);
      return;
    }
    if (outcome.kind === 'dead') await this.bury(outcome.reason, outcome.name);
    await this.confirmed();
    await this.attempt.forget();
  }

  private async bury(reason: string, name: string): Promise<void> {
    const { data, info, seq, subject } = this.message;
    const h = headers();
    h.set(names.reason, reason.replace(/[\r\n]+/g, ' '));
    h.set(names.messageId, `dead.${info.stream}.${seq}`);
    const letter = { subject, reason, deliveries: info.deliveryCount, name };
    await this.patiently(() => this.mesh.js.publish(subjects.dead(subject), data, { headers: h }));
    const told = eventSubjects.deadLetter(seq);
    await this.patiently(() => publishEvent(this.mesh, told, { deadLetter: letter }, { msgId: `letter.${seq}` }));
  }

  /**
   * What is done leaves the queue though nats-server was away when it was done, and is not done again. (The client's
   * own ackAck can be asked only once.)
   */
  private async confirmed(): Promise<void> {
    const { reply } = this.message as JsMsg & { reply: string };
    await this.patiently(() => this.mesh.nc.request(reply, '+ACK', { timeout: CONFIRM_MS }));
  }

  private patiently<R>(ask: () => Promise<R>): Promise<R> {
    const { signal } = this.options;
    return throughOutage(ask, signal.aborted ? { patienceMs: STOPPING_PATIENCE_MS } : { signal });
  }
}
