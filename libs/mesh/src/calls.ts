import { AtelierError, Error as ErrorMessage, errorOf, headers as names, type Call } from '@atelier/contracts';
import { SpanKind } from '@opentelemetry/api';
import { headers as messageHeaders, NatsError, type NatsConnection } from 'nats';
import { hasNoResponders, isTimeout } from './nats-errors';
import { calling, carryTrace } from './tracing/messages';

export interface CallOptions {
  /** How long the answer may take. Default: five seconds. */
  timeoutMs?: number;
}

/**
 * Asks a service and waits for its answer. Throws what the service threw; UNAVAILABLE where nobody listens,
 * DEADLINE_EXCEEDED where it takes too long.
 */
export function callService<RequestIn, Request, ReplyIn, Reply>(
  { nc }: { nc: NatsConnection },
  { service, subject, request, reply }: Call<RequestIn, Request, ReplyIn, Reply>,
  message: RequestIn,
  { timeoutMs = 5000 }: CallOptions = {},
): Promise<Reply> {
  return calling(subject, { kind: SpanKind.CLIENT }, async () => {
    try {
      const asked = { timeout: timeoutMs, headers: carryTrace(messageHeaders()) };
      const answer = await nc.request(subject, request.encode(message).finish(), asked);
      if (answer.headers?.has(names.error)) throw errorOf(ErrorMessage.decode(answer.data));
      return reply.decode(answer.data);
    } catch (error) {
      throw error instanceof NatsError ? unanswered(service, error, timeoutMs) : error;
    }
  });
}

function unanswered(service: string, cause: NatsError, timeoutMs: number): AtelierError {
  if (hasNoResponders(cause))
    return new AtelierError(
      'UNAVAILABLE',
      `service ${service} is not running: start it with "atelier up"`,
      {},
      { cause },
    );
  if (isTimeout(cause))
    return new AtelierError('DEADLINE_EXCEEDED', `service ${service} did not answer in ${timeoutMs} ms`, {}, { cause });
  return new AtelierError('UNAVAILABLE', `service ${service}: ${cause.message}`, {}, { cause });
}
