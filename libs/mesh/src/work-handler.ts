import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { DiscoveryService, MetadataScanner } from '@nestjs/core';
import { Histogram, Registry } from 'prom-client';
import { LOGGER } from './tokens';
import type { Logger } from './logging';
import { Mesh } from './mesh';
import { workPolicies } from './provision';
import type { MessageType } from './publish';
import { runWorker, type WorkContext } from './worker';
import type { Outcome } from './outcome';

const METADATA = Symbol('atelier:work-handler');

interface HandlerMetadata {
  subject: string;
  type: MessageType<unknown>;
  concurrency: number;
}

/** Method decorator: the method takes (message, context) of one work subject and returns an Outcome. */
export function WorkHandler<I, T>(subject: string, type: MessageType<I, T>, options: { concurrency?: number } = {}): MethodDecorator {
  return (_target, _key, descriptor) => {
    Reflect.defineMetadata(METADATA, { subject, type, concurrency: options.concurrency ?? 1 } as HandlerMetadata, descriptor.value as object);
  };
}

/** Finds the work handlers at start, refuses two for one subject, runs them, and at the end waits for what they have in hand. */
@Injectable()
export class WorkerHost implements OnApplicationBootstrap, OnApplicationShutdown {
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
    for (const { subject, type, concurrency, handle } of this.handlers()) {
      const onOutcome = (outcome: Outcome, took: number): void => seconds.observe({ subject, outcome: outcome.kind }, took);
      this.running.push(runWorker(this.mesh, { subject, type, concurrency, signal: this.stop.signal, logger: this.logger, onOutcome }, handle));
      this.logger.info({ subject, concurrency }, 'taking work');
    }
  }

  private handlers(): (HandlerMetadata & { handle: (message: unknown, context: WorkContext) => Promise<Outcome> })[] {
    const found = new Map<string, HandlerMetadata & { handle: (message: unknown, context: WorkContext) => Promise<Outcome>; owner: string }>();
    for (const { instance, name } of [...this.discovery.getControllers(), ...this.discovery.getProviders()]) {
      if (!instance || typeof instance !== 'object') continue;
      for (const method of this.scanner.getAllMethodNames(Object.getPrototypeOf(instance) as object)) {
        const handler = (instance as Record<string, unknown>)[method];
        const metadata = typeof handler === 'function' ? (Reflect.getMetadata(METADATA, handler) as HandlerMetadata | undefined) : undefined;
        if (!metadata) continue;
        const owner = `${name}.${method}`;
        const other = found.get(metadata.subject);
        if (other) throw new Error(`${metadata.subject} has two handlers, ${other.owner} and ${owner}: keep one`);
        if (!workPolicies[metadata.subject]) throw new Error(`${owner} handles ${metadata.subject}, which is no work subject: one of ${Object.keys(workPolicies).join(', ')}`);
        found.set(metadata.subject, { ...metadata, owner, handle: (message, context) => (handler as (m: unknown, c: WorkContext) => Promise<Outcome>).call(instance, message, context) });
      }
    }
    return [...found.values()];
  }

  async onApplicationShutdown(): Promise<void> {
    this.stop.abort();
    await Promise.allSettled(this.running);
    this.running = [];
  }
}
