// Where a piece of work came from, kept across its awaits: OpenTelemetry's context, whether or not anybody records it.
import {
  context,
  createContextKey,
  createTraceState,
  isSpanContextValid,
  ROOT_CONTEXT,
  trace,
  TraceFlags,
  type Context,
} from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';

/** What the work is about, by the names that logs use. */
export type WorkIds = Partial<Record<'runId' | 'datasetId' | 'drawingId', string>>;

const IDS = createContextKey('atelier ids');
const ATTRIBUTES = {
  runId: 'atelier.run.id',
  datasetId: 'atelier.dataset.id',
  drawingId: 'atelier.drawing.id',
} as const;

/** https://www.w3.org/TR/trace-context/: version, trace, span, flags; a later version may say more behind them. */
const TRACEPARENT = /^(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

let keeps = false;

/** Runs something in a context, which then holds for all that it awaits. */
export function runIn<T>(within: Context, fn: () => T): T {
  if (!keeps) {
    keeps = true;
    // Refused where an instrumentation that Node was told to load keeps contexts already.
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  }
  return context.with(within, fn);
}

/** What W3C's headers name, as a context with nothing else in it; undefined where they name nothing. */
export function contextOf(traceparent = '', tracestate = ''): Context | undefined {
  const [, version, traceId = '', spanId = '', flags = '', more] = TRACEPARENT.exec(traceparent) ?? [];
  if (version === undefined || (version === '00' && more !== undefined)) return undefined;
  const span = {
    traceId,
    spanId,
    traceFlags: Number.parseInt(flags, 16) & TraceFlags.SAMPLED,
    isRemote: true,
    ...(tracestate && { traceState: createTraceState(tracestate) }),
  };
  return isSpanContextValid(span) ? trace.setSpanContext(ROOT_CONTEXT, span) : undefined;
}

/** Of what is under way here; empty where nothing is. */
export function currentTraceparent(of = context.active()): string {
  const span = trace.getSpanContext(of);
  if (!span || !isSpanContextValid(span)) return '';
  return `00-${span.traceId}-${span.spanId}-${span.traceFlags.toString(16).padStart(2, '0')}`;
}

export function currentTracestate(of = context.active()): string {
  return trace.getSpanContext(of)?.traceState?.serialize() ?? '';
}

const set = (ids: WorkIds): [keyof WorkIds, string][] =>
  (Object.entries(ids) as [keyof WorkIds, string | undefined][]).filter((entry): entry is [keyof WorkIds, string] =>
    Boolean(entry[1]),
  );

/** A context whose log lines have these ids, beside those of the one that it is made from. */
export function withIds(ids: WorkIds, of = context.active()): Context {
  const known = of.getValue(IDS) as WorkIds | undefined;
  return of.setValue(IDS, { ...known, ...Object.fromEntries(set(ids)) });
}

/** What is under way here turns out to be about these: its log lines have them from now on, and its span. */
export function noteIds(ids: WorkIds): void {
  const known = context.active().getValue(IDS) as WorkIds | undefined;
  if (known) Object.assign(known, Object.fromEntries(set(ids)));
  trace.getActiveSpan()?.setAttributes(idAttributes(ids));
}

export function idAttributes(ids: WorkIds): Record<string, string> {
  return Object.fromEntries(set(ids).map(([name, id]) => [ATTRIBUTES[name], id]));
}

/** What every line that is logged here says beside its own words. */
export function logFields(): Record<string, string> {
  const active = context.active();
  const span = trace.getSpanContext(active);
  const ids = active.getValue(IDS) as WorkIds | undefined;
  return { ...ids, ...(span && isSpanContextValid(span) && { trace_id: span.traceId, span_id: span.spanId }) };
}
