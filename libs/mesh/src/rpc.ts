// Request and reply through Nest's NATS transporter, in the same protobuf as everything else. Errors travel as atelier.v1.Error.
import {
  AtelierError,
  Error as ErrorMessage,
  ERROR_CODES,
  errorMessage,
  errorOf,
  headers as names,
  subjects,
  type ErrorCode,
} from '@atelier/contracts';
import {
  MessagePattern,
  RpcException,
  type Deserializer,
  type IncomingRequest,
  type Serializer,
} from '@nestjs/microservices';
import { headers, NatsError, type MsgHdrs } from 'nats';
import type { Mesh } from './mesh';
import { hasNoResponders, isTimeout } from './nats-errors';
import type { MessageType } from './publish';

/** Nest → NATS: what a handler returned is bytes already (see reply), an error becomes atelier.v1.Error. */
export class ProtobufSerializer implements Serializer<
  { err?: unknown; response?: unknown },
  { data: Uint8Array; headers?: MsgHdrs }
> {
  serialize({ err, response }: { err?: unknown; response?: unknown }): { data: Uint8Array; headers?: MsgHdrs } {
    if (!err) return { data: response instanceof Uint8Array ? response : new Uint8Array() };
    const error = err as Partial<AtelierError> & { message?: string };
    const code = ERROR_CODES.includes(error.code as ErrorCode) ? (error.code as ErrorCode) : 'INTERNAL';
    const h = headers();
    h.set(names.error, code);
    const message = errorMessage(code, error.message ?? 'no reason was given', error.details ?? {});
    return { data: ErrorMessage.encode(message).finish(), headers: h };
  }
}

/** NATS → Nest: the subject is the pattern, the payload stays bytes until the handler's decorator decodes it. */
export class ProtobufDeserializer implements Deserializer<Uint8Array, IncomingRequest> {
  deserialize(value: Uint8Array, options?: { channel?: string }): IncomingRequest {
    return { id: 'request', pattern: options?.channel ?? '', data: value };
  }
}

/** Method decorator: answers `rpc.<service>.<method>`; the method takes the decoded request and returns the reply (or a promise of it). */
export function Rpc<I, T, RI>(
  service: string,
  method: string,
  request: MessageType<I, T>,
  reply: MessageType<RI>,
): MethodDecorator {
  return (target, key, descriptor) => {
    const original = descriptor.value as unknown as (this: unknown, message: T) => RI | Promise<RI>;
    const wrapped = async function (this: unknown, bytes: Uint8Array): Promise<Uint8Array> {
      try {
        return reply.encode(await original.call(this, request.decode(bytes))).finish();
      } catch (error) {
        // Of any other error Nest tells the caller only that there was one.
        throw error instanceof AtelierError ? new RpcException(error) : error;
      }
    };
    (descriptor as { value: unknown }).value = wrapped;
    return MessagePattern(subjects.rpc(service, method))(
      target,
      key,
      descriptor as TypedPropertyDescriptor<unknown>,
    ) as never;
  };
}

/** Asks a service and waits for the answer. UNAVAILABLE when nobody listens, DEADLINE_EXCEEDED when it takes too long. */
export async function callRpc<I, T, RI, R>(
  mesh: Mesh,
  [service, method]: [service: string, method: string],
  request: MessageType<I, T>,
  message: I,
  reply: MessageType<RI, R>,
  { timeoutMs = 5000 }: { timeoutMs?: number } = {},
): Promise<R> {
  try {
    const answer = await mesh.nc.request(subjects.rpc(service, method), request.encode(message).finish(), {
      timeout: timeoutMs,
    });
    if (answer.headers?.has(names.error)) throw errorOf(ErrorMessage.decode(answer.data));
    return reply.decode(answer.data);
  } catch (error) {
    if (!(error instanceof NatsError)) throw error;
    if (hasNoResponders(error))
      throw new AtelierError(
        'UNAVAILABLE',
        `service ${service} is not running: start it with "atelier up"`,
        {},
        { cause: error },
      );
    if (isTimeout(error))
      throw new AtelierError(
        'DEADLINE_EXCEEDED',
        `service ${service} did not answer in ${timeoutMs} ms`,
        {},
        { cause: error },
      );
    throw new AtelierError('UNAVAILABLE', `service ${service}: ${error.message}`, {}, { cause: error });
  }
}
