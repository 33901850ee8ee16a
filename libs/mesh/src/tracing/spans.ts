import {
  context,
  isSpanContextValid,
  SpanKind,
  SpanStatusCode,
  trace,
  TraceFlags,
  type Attributes,
  type Context,
  type Link,
  type Span,
} from '@opentelemetry/api';
import { randomBytes } from 'node:crypto';
import { contextOf, idAttributes, runIn, withIds, type WorkIds } from './context';

export interface SpanSettings {
  kind?: SpanKind;
  attributes?: Attributes;
  links?: Link[];
  /** Default: what is under way here. */
  parent?: Context;
  /** What it is about: said by its log lines too. */
  ids?: WorkIds;
}

/**
 * A span that its maker ends, and the context to run in what belongs to it. Where nobody records, spans cost nothing,
 * and what is under way has a trace's name all the same: its messages and log lines can be put together by that.
 */
export function openSpan(name: string, settings: SpanSettings = {}): { span: Span; within: Context } {
  const { kind = SpanKind.INTERNAL, attributes, links, parent = context.active(), ids = {} } = settings;
  const options = { kind, links, attributes: { ...attributes, ...idAttributes(ids) } };
  let span = trace.getTracer('atelier').startSpan(name, options, parent);
  if (!isSpanContextValid(span.spanContext())) span = trace.wrapSpanContext(unrecorded());
  return { span, within: withIds(ids, trace.setSpan(parent, span)) };
}

/** As sampled: whether to record is for whoever can, and gets it, to say. */
function unrecorded(): { traceId: string; spanId: string; traceFlags: TraceFlags } {
  const traceFlags = TraceFlags.SAMPLED;
  return { traceId: randomBytes(16).toString('hex'), spanId: randomBytes(8).toString('hex'), traceFlags };
}

/** Runs something within a span, which ends with it and says how. */
export async function inSpan<T>(name: string, settings: SpanSettings, fn: (span: Span) => Promise<T>): Promise<T> {
  const { span, within } = openSpan(name, settings);
  try {
    return await runIn(within, () => fn(span));
  } catch (error) {
    failSpan(span, error as Error);
    throw error;
  } finally {
    span.end();
  }
}

/** Says of a span that it came to nothing. */
export function failSpan(span: Span, error: Error): void {
  span.recordException(error);
  span.setStatus({ code: SpanStatusCode.ERROR, message: error.message });
}

/**
 * Goes on for whoever asked, in their trace, by the traceparent that was kept with what they asked for. What led here
 * may be another's message, which wakes whoever is next: then it is linked.
 */
export async function goOnFor<T>(
  name: string,
  { traceparent, ids }: { traceparent: string; ids: WorkIds },
  fn: () => Promise<T>,
): Promise<T> {
  const here = trace.getSpanContext(context.active());
  const asked = contextOf(traceparent);
  const isOther = asked !== undefined && trace.getSpanContext(asked)!.traceId !== here?.traceId;
  if (!isOther) return inSpan(name, { ids }, fn);
  return inSpan(name, { ids, parent: asked, links: here ? [{ context: here }] : [] }, fn);
}

/** What something is part of that is done later, together with others'. */
export interface Origin {
  within: Context;
  /** For what is done in another's context. */
  link?: Link;
}

export function origin(): Origin {
  const within = context.active();
  const here = trace.getSpanContext(within);
  return { within, link: here && { context: here } };
}

/** Something that happened within the span that is under way. */
export function noteInSpan(name: string, attributes: Attributes): void {
  trace.getActiveSpan()?.addEvent(name, attributes);
}
