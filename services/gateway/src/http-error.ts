import { AtelierError, type ErrorCode } from '@atelier/contracts';
import { asStoreFull, isMeshAway, isStoreFull } from '@atelier/mesh';

/** What an error code is over HTTP, and which of OpenAI's error types it goes by. */
const HTTP: Record<string, { status: number; type: string }> = {
  CANCELLED: { status: 499, type: 'cancelled' },
  INVALID_ARGUMENT: { status: 400, type: 'invalid_request_error' },
  OUT_OF_RANGE: { status: 400, type: 'invalid_request_error' },
  FAILED_PRECONDITION: { status: 409, type: 'invalid_request_error' },
  ABORTED: { status: 409, type: 'invalid_request_error' },
  ALREADY_EXISTS: { status: 409, type: 'invalid_request_error' },
  NOT_FOUND: { status: 404, type: 'invalid_request_error' },
  UNAUTHENTICATED: { status: 401, type: 'authentication_error' },
  PERMISSION_DENIED: { status: 403, type: 'permission_error' },
  RESOURCE_EXHAUSTED: { status: 429, type: 'rate_limit_error' },
  UNIMPLEMENTED: { status: 501, type: 'server_error' },
  UNAVAILABLE: { status: 503, type: 'server_error' },
  DEADLINE_EXCEEDED: { status: 504, type: 'server_error' },
};

export interface ErrorBody {
  error: { message: string; type: string; param: string | null; code: string; details?: Record<string, string> };
}

/** Upload limits have a status of their own; everything else follows from the code. */
export class PayloadTooLarge extends AtelierError {
  readonly status = 413;

  constructor(message: string) {
    super('RESOURCE_EXHAUSTED', message);
  }
}

/** More than its sender may ask for at once; the answer says when to come again. */
export class TooManyRequests extends AtelierError {
  constructor(
    message: string,
    readonly retryAfterSeconds: number,
  ) {
    super('RESOURCE_EXHAUSTED', message);
  }
}

/** Seconds, where it is known when the same request may be answered: of what is too much, and of an outage. */
export function retryAfter(error: unknown, status: number): number | undefined {
  if (error instanceof TooManyRequests) return error.retryAfterSeconds;
  return status === 503 ? OUTAGE_SECONDS : undefined;
}

const OUTAGE_SECONDS = 5;

/** Any thrown thing as status and body. What we did not foresee says nothing of our inside: it is in the log, under its reference. */
export function httpError(error: unknown, reference: string): { status: number; body: ErrorBody; unforeseen: boolean } {
  if (error instanceof PayloadTooLarge) {
    return { status: 413, body: body(error.message, 'invalid_request_error', 'payload_too_large'), unforeseen: false };
  }
  if (error instanceof TooManyRequests) {
    return { status: 429, body: body(error.message, 'rate_limit_error', 'rate_limit_exceeded'), unforeseen: false };
  }
  const status = statusOf(error);
  if (status !== undefined) {
    return {
      status,
      body: body(plainMessage(error, status), 'invalid_request_error', codeOf(status)),
      unforeseen: false,
    };
  }
  if (isOutage(error)) {
    return {
      status: 503,
      body: body(
        'NATS does not answer: try again in a moment. What was acknowledged before is on its disk',
        'server_error',
        'unavailable',
      ),
      unforeseen: false,
    };
  }
  if (isStoreFull(error)) return { status: 507, body: insufficientStorage(asStoreFull(error)), unforeseen: false };
  const { code, details } = error as { code?: ErrorCode; details?: Record<string, string> };
  const known = error instanceof Error && typeof code === 'string' ? HTTP[code] : undefined;
  if (!known) {
    return {
      status: 500,
      body: body(
        `something went wrong here; the gateway's log has it under reference ${reference}`,
        'server_error',
        'internal',
      ),
      unforeseen: true,
    };
  }
  const answer = body(
    (error as Error).message,
    known.type,
    (code as string).toLowerCase(),
    Object.keys(details ?? {})[0] ?? null,
  );
  if (details && Object.keys(details).length > 0) answer.error.details = details;
  return { status: known.status, body: answer, unforeseen: false };
}

function body(message: string, type: string, code: string, param: string | null = null): ErrorBody {
  return { error: { message, type, param, code } };
}

/**
 * A status of its own (RFC 4918): nothing is wrong with the request, and 429 would have clients try again by
 * themselves.
 */
function insufficientStorage({ message, details }: AtelierError): ErrorBody {
  const { store: _mark, ...numbers } = details;
  const answer = body(message, 'server_error', 'insufficient_storage');
  if (Object.keys(numbers).length > 0) answer.error.details = numbers;
  return answer;
}

/** A full store answers with 503 as well. */
function isOutage(error: unknown): boolean {
  return isMeshAway(error) && !isStoreFull(error);
}

/** Nest's and Express's own refusals (no such route, malformed JSON, body too large) carry a 4xx status. */
function statusOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const { status, getStatus } = error as { status?: unknown; getStatus?: () => number };
  const value = typeof getStatus === 'function' ? getStatus.call(error) : status;
  return typeof value === 'number' && value >= 400 && value < 500 ? value : undefined;
}

function plainMessage(error: unknown, status: number): string {
  const { message } = error as { message?: string };
  // Nest wraps what the body parser throws and keeps only its text and status.
  if (status === 400 && message?.includes('JSON')) return `the body is not JSON: ${message}`;
  if (status === 413)
    return 'the body is too large for a JSON request: pictures go to /v1/datasets as multipart/form-data';
  if (status === 404) return `${message}: /openapi.json lists what there is`;
  return message ?? 'the request was refused';
}

function codeOf(status: number): string {
  return status === 404 ? 'not_found' : status === 413 ? 'payload_too_large' : 'invalid_argument';
}
