// What a service's controllers say of themselves: Nest's own decorators, with the messages' types beside the subjects.
import { subjects, type Call, type WorkSubject } from '@atelier/contracts';
import type { Type } from '@nestjs/common';
import { EventPattern, MessagePattern } from '@nestjs/microservices';
import type { Ending, Outcome } from './outcome';
import type { MessageType } from './publish';
import type { WorkIds } from './tracing/context';
import type { GivenUpContext, WorkContext } from './work';

/** A number that a provider of the service knows: a decorator stands where no setting has been read yet. */
export interface FromProvider {
  provider: Type;
  take: (provider: unknown) => number;
}

export function from<P>(provider: Type<P>, take: (provider: P) => number): FromProvider {
  return { provider, take: take as (provider: unknown) => number };
}

export interface WorkHandlerOptions<T> {
  /** Messages handled at once. Default 1. */
  concurrency?: number | FromProvider;
  /** What a person knows the work by: a file name, an id. It is told with its dead letter. */
  name?: (work: T) => string;
  /** What it is about: its log lines and its span have them. */
  ids?: (work: T) => WorkIds;
}

/** What the strategy is told of a handler of work (Nest's "extras"). */
export interface WorkExtras extends WorkHandlerOptions<unknown> {
  owner: string;
  type: MessageType<unknown>;
}

/** What the strategy is told of a handler of calls. */
export interface CallExtras {
  owner: string;
  call: Call<unknown, unknown, unknown, unknown>;
}

/** A decorator of methods that can stand for F. */
type Typed<F> = <M extends F>(target: object, key: string | symbol, descriptor: TypedPropertyDescriptor<M>) => void;

const ownerOf = (target: object, key: string | symbol): string => `${target.constructor.name}.${String(key)}`;

/**
 * Takes the work of a subject: (work, context), with Nest's \@Payload() and \@Ctx(). What it returns or throws decides
 * what becomes of the message: docs/decisions/0036-work-goes-through-nests-own-pipeline.md.
 */
export function Work<I, T>(
  subject: WorkSubject,
  type: MessageType<I, T>,
  options: WorkHandlerOptions<T> = {},
): Typed<(work: T, context: WorkContext) => Promise<Outcome | Ending | void>> {
  return (target, key, descriptor) => {
    const extras = { ...options, type, owner: ownerOf(target, key) };
    EventPattern(subject, extras)(target, key, descriptor);
  };
}

/**
 * Tells whoever waits for work that it is given up: (work, context), whose reason says why. Called before its dead
 * letter is written, again where that fails: said twice, it must be said once.
 */
export function GivenUp(subject: WorkSubject): Typed<(work: never, context: GivenUpContext) => Promise<void>> {
  return (target, key, descriptor) => {
    EventPattern(subjects.dead(subject), { owner: ownerOf(target, key) })(target, key, descriptor);
  };
}

/** Answers a call: the method takes the request and returns the reply. Errors travel with their code and words. */
export function Answers<RequestIn, Request, ReplyIn, Reply>(
  call: Call<RequestIn, Request, ReplyIn, Reply>,
): Typed<(request: Request) => ReplyIn | Promise<ReplyIn>> {
  return (target, key, descriptor) => {
    MessagePattern(call.subject, { call, owner: ownerOf(target, key) })(target, key, descriptor);
  };
}
