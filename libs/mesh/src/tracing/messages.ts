// Traces over NATS, by OpenTelemetry's conventions for messaging:
// https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/
import { headers as names, type WorkSubject } from '@atelier/contracts';
import { context, ROOT_CONTEXT, SpanKind, trace, type Attributes, type Span } from '@opentelemetry/api';
import { headers, type JsMsg, type MsgHdrs } from 'nats';
import { consumerName } from '../consumer-name';
import { contextOf, currentTraceparent, currentTracestate } from './context';
import { inSpan } from './spans';

/** Has a message say what it is part of, if anything is under way here. */
export function carryTrace(into: MsgHdrs): MsgHdrs {
  const traceparent = currentTraceparent();
  if (!traceparent) return into;
  into.set(names.traceparent, traceparent);
  const tracestate = currentTracestate();
  if (tracestate) into.set(names.tracestate, tracestate);
  return into;
}

/** What a message says that it is part of. */
export function traceOf(from: MsgHdrs | undefined): ReturnType<typeof contextOf> {
  return contextOf(from?.get(names.traceparent), from?.get(names.tracestate));
}

/** Of events so many are told of one piece of work that a span for each would bury the others: they are carried only. */
const OFTEN = /^events\.(run\.[^.]+\.step|generate\.[^.]+\.progress)(\.|$)/;

/** An event's subject without its ids, of which there is no end. */
export function templateOf(subject: string): string {
  const [events, kind, , what, ...dataset] = subject.split('.');
  if (events !== 'events') return subject;
  return [events, kind, '{id}', what, ...dataset.map(() => '{dataset}')].join('.');
}

/** Publishes a message within a span of its own, and has it carry that. */
export async function publishing<T>(subject: string, msgId: string | undefined, publish: (h: MsgHdrs) => Promise<T>) {
  const h = headers();
  if (msgId) h.set(names.messageId, msgId);
  if (OFTEN.test(subject)) return publish(carryTrace(h));
  const template = templateOf(subject);
  const attributes: Attributes = {
    ...destination(subject, template),
    'messaging.operation.name': 'publish',
    'messaging.operation.type': 'send',
    'messaging.message.id': msgId,
  };
  return inSpan(`publish ${template}`, { kind: SpanKind.PRODUCER, attributes }, () => publish(carryTrace(h)));
}

/** Handles a message within a span of its own, in the trace that it carries. */
export function processing<T>(message: JsMsg, subject: WorkSubject, handle: (span: Span) => Promise<T>): Promise<T> {
  const attributes: Attributes = {
    ...destination(subject),
    'messaging.operation.name': 'process',
    'messaging.operation.type': 'process',
    'messaging.consumer.group.name': consumerName(subject),
    'messaging.message.id': message.headers?.get(names.messageId) || undefined,
    'messaging.message.body.size': message.data.length,
    'messaging.nats.stream.sequence': message.seq,
    'messaging.nats.delivery_count': message.info.deliveryCount,
  };
  const parent = traceOf(message.headers) ?? ROOT_CONTEXT;
  return inSpan(`process ${subject}`, { kind: SpanKind.CONSUMER, attributes, parent }, handle);
}

function destination(subject: string, template = subject): Attributes {
  return {
    'messaging.system': 'nats',
    'messaging.destination.name': subject,
    'messaging.destination.template': template === subject ? undefined : template,
  };
}

/** Asks a service, or answers, within a span where what is asked for is part of something: looks now and then are not. */
export function calling<T>(
  subject: string,
  side: { kind: SpanKind.CLIENT } | { kind: SpanKind.SERVER; asked: MsgHdrs | undefined },
  call: () => Promise<T>,
): Promise<T> {
  const parent = side.kind === SpanKind.SERVER ? traceOf(side.asked) : context.active();
  if (!parent || !trace.getSpanContext(parent)) return call();
  const [, service, method] = subject.split('.');
  const attributes = { 'rpc.system': 'nats', 'rpc.service': service, 'rpc.method': method };
  return inSpan(`${service}/${method}`, { kind: side.kind, attributes, parent }, call);
}
