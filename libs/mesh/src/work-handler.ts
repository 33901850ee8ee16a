import {
  Inject,
  Injectable,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleDestroy,
} from '@nestjs/common';
import { DiscoveryService, MetadataScanner } from '@nestjs/core';
import { Histogram, Registry } from 'prom-client';
import { LOGGER } from './tokens';
import type { Logger } from './logging';
import { Mesh } from './mesh';
import { workPolicies } from './provision';
import type { MessageType } from './publish';
import type { WorkContext } from './work';
import { runWorker } from './worker';
import { retryLater, type Outcome } from './outcome';
import { isStoreFull } from './store-full';
import { closeWhenDeaf } from './leave';

const METADATA = Symbol('atelier:work-handler');

interface HandlerMetadata {
  subject: string;
  type: MessageType<unknown>;
  concurrency: number | string;
  onExhausted?: string;
}

export interface WorkHandlerOptions {
  /** Messages handled at once, or the name of the property that says how many. Default 1. */
  concurrency?: number | string;
  /**
   * Name of the method that takes (message, reason) and returns an Outcome when the attempts are used up: see
   * WorkerOptions.
   */
  onExhausted?: string;
}

/** Method decorator: the method takes (message, context) of one work subject and returns an Outcome. */
export function WorkHandler<I, T>(
  subject: string,
  type: MessageType<I, T>,
  { concurrency = 1, onExhausted }: WorkHandlerOptions = {},
): MethodDecorator {
  return (_target, _key, descriptor) => {
    Reflect.defineMetadata(METADATA, { subject, type, concurrency, onExhausted }, descriptor.value as object);
  };
}

type Handle = (message: unknown, context: WorkContext) => Promise<Outcome>;
type Exhausted = (message: unknown, reason: string) => Promise<Outcome>;
type FoundHandler = Omit<HandlerMetadata, 'onExhausted' | 'concurrency'> & {
  owner: string;
  concurrency: number;
  handle: Handle;
  onExhausted?: Exhausted;
};

/** Finds the work handlers at start, refuses two for one subject, runs them, and at the end waits for what they have in hand. */
@Injectable()
export class WorkerHost implements OnApplicationBootstrap, OnModuleDestroy, OnApplicationShutdown {
  private readonly stop = new AbortController();
  private running: Promise<void>[] = [];

  constructor(
    @Inject(DiscoveryService) private readonly discovery: DiscoveryService,
    @Inject(MetadataScanner) private readonly scanner: MetadataScanner,
    @Inject(Mesh) private readonly mesh: Mesh,
    @Inject(LOGGER) private readonly logger: Logger,
    @Inject(Registry) private readonly registry: Registry,
  ) {}

  onApplicationBootstrap(): void {
    const seconds = new Histogram({
      name: 'atelier_work_seconds',
      help: 'Time from a message being taken to its outcome',
      labelNames: ['subject', 'outcome'],
      buckets: [0.01, 0.1, 1, 10, 60, 600, 3600],
      registers: [this.registry],
    });
    for (const { subject, type, concurrency, handle, onExhausted } of this.handlers()) {
      const waiting = this.throughFullStore(subject, handle);
      const onOutcome = (outcome: Outcome, took: number): void =>
        seconds.observe({ subject, outcome: outcome.kind }, took);
      const options = {
        subject,
        type,
        concurrency,
        signal: this.stop.signal,
        logger: this.logger,
        onExhausted,
        onOutcome,
      };
      this.running.push(runWorker(this.mesh, options, waiting));
      this.logger.info({ subject, concurrency }, 'taking work');
    }
  }

  /**
   * A full store is nobody's fault: the message stays in hand, its lease renewed, and is handled again once there is
   * room, so that none of its tries is used up however long that takes.
   */
  private throughFullStore(subject: string, handle: Handle): Handle {
    return async (message, context) => {
      for (;;) {
        try {
          return await handle(message, context);
        } catch (error) {
          if (!isStoreFull(error)) throw error;
          if (context.signal.aborted) return retryLater(0, (error as Error).message);
          this.logger.warn({ subject, error: (error as Error).message }, 'waits until there is room in the store');
          await this.mesh.room.until(context.signal);
        }
      }
    };
  }

  private handlers(): FoundHandler[] {
    const found = new Map<string, FoundHandler>();
    for (const { instance, name } of [...this.discovery.getControllers(), ...this.discovery.getProviders()]) {
      if (!instance || typeof instance !== 'object') continue;
      for (const method of this.scanner.getAllMethodNames(Object.getPrototypeOf(instance) as object)) {
        const handler = (instance as Record<string, unknown>)[method];
        const metadata =
          typeof handler === 'function'
            ? (Reflect.getMetadata(METADATA, handler) as HandlerMetadata | undefined)
            : undefined;
        if (!metadata) continue;
        const owner = `${name}.${method}`;
        const other = found.get(metadata.subject);
        if (other) throw new Error(`${metadata.subject} has two handlers, ${other.owner} and ${owner}: keep one`);
        if (!workPolicies[metadata.subject])
          throw new Error(
            `${owner} handles ${metadata.subject}, which is no work subject: one of ${Object.keys(workPolicies).join(', ')}`,
          );
        const fallback =
          metadata.onExhausted === undefined ? undefined : (instance as Record<string, unknown>)[metadata.onExhausted];
        if (metadata.onExhausted !== undefined && typeof fallback !== 'function')
          throw new Error(`${owner} names ${metadata.onExhausted} for exhausted work, which is no method of ${name}`);
        const concurrency =
          typeof metadata.concurrency === 'string'
            ? (instance as Record<string, unknown>)[metadata.concurrency]
            : metadata.concurrency;
        if (typeof concurrency !== 'number' || !(concurrency >= 1))
          throw new Error(`${owner} would handle ${String(concurrency)} messages at once: say a number of at least 1`);
        const bound = {
          handle: (handler as Handle).bind(instance),
          onExhausted: (fallback as Exhausted | undefined)?.bind(instance),
        };
        found.set(metadata.subject, { ...metadata, ...bound, owner, concurrency });
      }
    }
    return [...found.values()];
  }

  /** First of all, so that the whole grace is the work's; Nest closes its transport only then. */
  onModuleDestroy(): void {
    this.stop.abort();
  }

  async onApplicationShutdown(): Promise<void> {
    await closeWhenDeaf(this.mesh, Promise.allSettled(this.running), (reason) =>
      this.logger.warn({ reason }, 'stops without the mesh: what is in hand comes again'),
    );
    this.running = [];
  }
}
