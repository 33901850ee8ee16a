import {
  AtelierError,
  Error as ErrorMessage,
  errorMessage,
  headers as names,
  subjects,
  type WorkSubject,
} from '@atelier/contracts';
import type { Type } from '@nestjs/common';
import { NatsContext, Server, type CustomTransportStrategy, type MessageHandler } from '@nestjs/microservices';
import { SpanKind } from '@opentelemetry/api';
import { headers, type Msg, type Subscription } from 'nats';
import { Histogram, type Registry } from 'prom-client';
import { lastValueFrom, type Observable } from 'rxjs';
import { problemsOfClaims, type Claim } from './claims';
import type { CallExtras, WorkExtras } from './handlers';
import { closeWhenDeaf } from './leave';
import type { Logger } from './logging';
import type { Mesh } from './mesh';
import { outcomeOf, type Outcome } from './outcome';
import type { Readiness } from './readiness';
import { calling } from './tracing/messages';
import type { GivenUpContext, WorkContext } from './work';
import { runWorker } from './worker';

export interface StrategyOptions {
  mesh: Mesh;
  /** Its name: what its calls are shared under, and whose work it takes. */
  service: string;
  logger: Logger;
  registry: Registry;
  /** No work is taken while something is missing that it needs. */
  readiness: Readiness;
  /** Takes one message of work and then says that it is over. */
  once?: boolean;
  /** A provider of the application. */
  find: <P>(provider: Type<P>) => P;
}

/**
 * Nest on JetStream: a service's work and calls over its one connection, each through Nest's own pipeline of guards,
 * interceptors, pipes and filters. Work comes from its durable consumer and is settled by its outcome (verdict.ts); a
 * call is request and reply, shared by all instances of the service.
 */
export class JetStreamStrategy extends Server implements CustomTransportStrategy {
  override readonly transportId = Symbol('JETSTREAM');
  /** Resolves when the one message of `once` is settled. */
  readonly over: Promise<void>;
  private readonly stopping = new AbortController();
  private readonly claims: Claim[] = [];
  private readonly subscriptions: Subscription[] = [];
  private working: Promise<void>[] = [];
  private setOver: () => void = () => undefined;

  constructor(private readonly options: StrategyOptions) {
    super();
    this.over = new Promise((resolve) => (this.setOver = resolve));
  }

  /** Nest's own would chain a second handler of work behind the first, and have the second of a call take its place. */
  override addHandler(pattern: unknown, callback: MessageHandler, isEvent = false, extras: object = {}): void {
    const { owner } = extras as Partial<WorkExtras>;
    const subject = this.normalizePattern(pattern as string);
    this.claims.push({ subject, owner: owner ?? 'a handler', kind: isEvent ? 'work' : 'call' });
    super.addHandler(pattern, callback, isEvent, extras);
  }

  /** Ready means that calls reach us: the server has the subscriptions. */
  async listen(callback: (error?: Error) => void): Promise<void> {
    try {
      const problems = problemsOfClaims(this.options.service, this.claims);
      if (problems.length > 0) throw new Error(problems.join('; '));
      for (const [subject, handler] of this.messageHandlers) if (!handler.isEventHandler) this.answer(subject, handler);
      await this.options.mesh.nc.flush();
      this.work();
      callback();
    } catch (error) {
      callback(error as Error);
    }
  }

  /** Takes nothing more, and waits for what is in hand: the whole grace is the work's. */
  async close(): Promise<void> {
    this.stopping.abort();
    for (const subscription of this.subscriptions.splice(0)) subscription.unsubscribe();
    const { mesh, logger } = this.options;
    await closeWhenDeaf(mesh, Promise.allSettled(this.working), (reason) =>
      logger.warn({ reason }, 'stops without the mesh: what is in hand comes again'),
    );
    this.working = [];
  }

  on(): void {
    throw new Error('a service hears of its connection from Mesh');
  }

  // As Nest declares it: whoever asks says what it is.
  // eslint-disable-next-line @typescript-eslint/no-unnecessary-type-parameters
  unwrap<T>(): T {
    return this.options.mesh.nc as T;
  }

  private work(): void {
    const { mesh, logger, once, registry, readiness } = this.options;
    const seconds = new Histogram({
      name: 'atelier_work_seconds',
      help: 'Time from a message being taken to its outcome',
      labelNames: ['subject', 'outcome'],
      buckets: [0.01, 0.1, 1, 10, 60, 600, 3600],
      registers: [registry],
    });
    for (const [pattern, handler] of this.messageHandlers) {
      if (!handler.isEventHandler || pattern.startsWith(subjects.dead(''))) continue;
      const subject = pattern as WorkSubject; // problemsOfClaims has seen to that
      const { type, name, ids, ...extras } = handler.extras as WorkExtras;
      const concurrency = this.concurrencyOf(extras);
      const givenUp = this.messageHandlers.get(subjects.dead(subject));
      const options = {
        subject,
        type,
        name,
        ids,
        concurrency,
        once,
        signal: this.stopping.signal,
        logger,
        whenReady: (signal: AbortSignal) => readiness.forWork(signal),
        isReady: async () => (await readiness.look()).length === 0,
        giveUp: givenUp && ((work: unknown, context: GivenUpContext) => this.through<void>(givenUp, work, context)),
        onOutcome: ({ kind }: Outcome, took: number) => seconds.observe({ subject, outcome: kind }, took),
      };
      const handle = async (work: unknown, context: WorkContext): Promise<Outcome> =>
        outcomeOf(await this.through(handler, work, context));
      this.working.push(runWorker(mesh, options, handle).then(() => this.setOver()));
      logger.info({ subject, concurrency: once ? 1 : concurrency }, 'taking work');
    }
  }

  private concurrencyOf({ owner, concurrency = 1 }: Pick<WorkExtras, 'owner' | 'concurrency'>): number {
    const number =
      typeof concurrency === 'number' ? concurrency : concurrency.take(this.options.find(concurrency.provider));
    if (number >= 1) return number;
    throw new Error(`${owner} would handle ${number} messages at once: say a number of at least 1`);
  }

  private answer(subject: string, handler: MessageHandler): void {
    const { mesh, service } = this.options;
    const callback = (error: Error | null, message: Msg): void => {
      if (!error) void this.reply(handler, message);
    };
    this.subscriptions.push(mesh.nc.subscribe(subject, { queue: service, callback }));
  }

  private async reply(handler: MessageHandler, message: Msg): Promise<void> {
    const { call } = handler.extras as CallExtras;
    try {
      const request = decoded(call, message);
      const { subject, headers: asked } = message;
      const reply = await calling(subject, { kind: SpanKind.SERVER, asked }, () =>
        this.through(handler, request, new NatsContext([subject, asked])),
      );
      message.respond(call.reply.encode(reply).finish());
    } catch (error) {
      this.refuse(message, error as Error);
    }
  }

  /** Words of what we did not foresee stay here: they are for who looks after the service. */
  private refuse(message: Msg, error: Error): void {
    const { logger, service } = this.options;
    const known = error instanceof AtelierError;
    if (!known) logger.error({ subject: message.subject, error: error.stack }, 'could not answer');
    const { code, details } = known ? error : { code: 'INTERNAL' as const, details: {} };
    const told = errorMessage(code, known ? error.message : `service ${service} failed: its log says why`, details);
    const h = headers();
    h.set(names.error, code);
    message.respond(ErrorMessage.encode(told).finish(), { headers: h });
  }

  /** Through guards, interceptors, pipes, handler and filters: what comes out at the end. */
  private async through<R = unknown>(handler: MessageHandler, data: unknown, context: object): Promise<R> {
    const returned = (await handler(data, context)) as R | Observable<R>;
    return lastValueFrom(this.transformToObservable(returned) as Observable<R>, { defaultValue: undefined as R });
  }
}

function decoded({ service, request }: CallExtras['call'], { data, subject }: Msg): unknown {
  try {
    return request.decode(data);
  } catch (error) {
    throw new AtelierError(
      'INVALID_ARGUMENT',
      `service ${service} cannot read what ${subject} was asked with`,
      {},
      {
        cause: error,
      },
    );
  }
}
