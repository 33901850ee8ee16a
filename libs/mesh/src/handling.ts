import { eventSubjects, headers as names, subjects } from '@atelier/contracts';
import type { Span } from '@opentelemetry/api';
import type { JsMsg } from 'nats';
import type { Attempt } from './attempts';
import type { Mesh } from './mesh';
import { STOPPING_PATIENCE_MS, throughOutage } from './outage';
import type { Outcome } from './outcome';
import { workPolicies } from './provision';
import { publishEvent } from './publish';
import { processing, publishing } from './tracing/messages';
import { failSpan } from './tracing/spans';
import { Verdict } from './verdict';
import type { WorkerOptions, HandleWork } from './work';

/** How long the server may take to confirm that a message is settled, and a service that stops asks for it. */
const CONFIRM_MS = 3000;

/** One message in hand, from its delivery to its settlement. */
export class Handling<I, T> {
  private readonly interruptions: number;

  constructor(
    private readonly mesh: Mesh,
    private readonly message: JsMsg,
    private readonly attempt: Attempt,
    private readonly options: WorkerOptions<I, T>,
    private readonly handler: HandleWork<T>,
  ) {
    this.interruptions = mesh.interruptions;
  }

  /** Never rejects: a message that cannot be settled comes again. */
  run(): Promise<void> {
    return processing(this.message, this.options.subject, (span) => this.handle(span));
  }

  private async handle(span: Span): Promise<void> {
    const started = Date.now();
    const { attempt, message } = this;
    const { signal, logger, onOutcome } = this.options;
    // Noted when the signal comes, not when the work is put down: a service that outstays its grace is killed before
    // that, and was stopped all the same.
    const excuse = (): void => void attempt.excuse();
    const heartbeat = setInterval(() => {
      message.working();
      if (this.interrupted) excuse();
    }, workPolicies[this.options.subject].ackWaitMs / 3);
    signal.addEventListener('abort', excuse, { once: true });
    if (signal.aborted) excuse();
    const outcome = await new Verdict(this.mesh, message, attempt, this.options, () => this.interrupted).on(
      this.handler,
    );
    span.setAttributes({ 'atelier.outcome': outcome.kind, 'atelier.attempt': attempt.number });
    if (outcome.kind === 'dead') failSpan(span, new Error(outcome.reason));
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

  private async settle(outcome: Outcome): Promise<void> {
    if (outcome.kind === 'left') return;
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
    const letter = { subject, reason, deliveries: info.deliveryCount, name };
    const dead = subjects.dead(subject);
    await this.patiently(() =>
      publishing(dead, `dead.${info.stream}.${seq}`, (headers) => {
        headers.set(names.reason, reason.replace(/[\r\n]+/g, ' '));
        return this.mesh.js.publish(dead, data, { headers });
      }),
    );
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
