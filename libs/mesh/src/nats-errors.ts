// What the mesh's errors mean, as questions. The numbers are nats-server's own (server/errors.json), and stand nowhere else.
import { ErrorCode, NatsError } from 'nats';

const WRONG_LAST_SEQUENCE = 10071;
const SUBJECTS_OVERLAP = 10065;
const STREAM_NAME_IN_USE = 10058;
/** "consumer already exists" with another configuration; nats-server 2.9 takes such an order for an update. */
const CONSUMER_EXISTS = 10148;
/** Not in a cluster, or not enough servers in it. */
const NO_REPLICAS: ReadonlySet<number> = new Set([10074, 10005]);
/** Its server's limit, its account's limit, a limit that a stream would ask for. */
const NO_ROOM: ReadonlySet<number> = new Set([10023, 10002, 10047]);
/** "The stream could not store it", whose description says why. */
const STORE_FAILED = 10077;

function errCodeOf(error: unknown): number | undefined {
  return error instanceof NatsError ? error.api_error?.err_code : undefined;
}

/** The client declares its codes as an enum and its errors' code as a string. */
function hasCode(error: unknown, code: ErrorCode): boolean {
  return error instanceof NatsError && error.code === (code as string);
}

/** "wrong last sequence": someone else wrote first. */
export const isConflict = (error: unknown): boolean => errCodeOf(error) === WRONG_LAST_SEQUENCE;

/** "subjects overlap with an existing stream" */
export const isStreamOverlap = (error: unknown): boolean => errCodeOf(error) === SUBJECTS_OVERLAP;

/** "stream name already in use with a different configuration" */
export const isStreamTaken = (error: unknown): boolean => errCodeOf(error) === STREAM_NAME_IN_USE;

/** The consumer is there, and is to be updated. */
export const isConsumerTaken = (error: unknown): boolean => errCodeOf(error) === CONSUMER_EXISTS;

/** There are fewer servers than copies were asked for. */
export const isShortOfServers = (error: unknown): boolean => NO_REPLICAS.has(errCodeOf(error) ?? 0);

/** Stream, consumer, message: what was asked for is not there. */
export const isNotFound = (error: unknown): boolean =>
  error instanceof NatsError && error.api_error !== undefined && error.api_error.code === 404;

/** JetStream takes no more, for want of room. */
export function isOutOfRoom(error: unknown): boolean {
  const code = errCodeOf(error);
  if (code === undefined) return false;
  const full = /no space left|maximum bytes/i;
  return NO_ROOM.has(code) || (code === STORE_FAILED && full.test((error as NatsError).api_error!.description));
}

/** Nobody answers calls on the subject. */
export const hasNoResponders = (error: unknown): boolean => hasCode(error, ErrorCode.NoResponders);

/** The answer did not come in time. */
export const isTimeout = (error: unknown): boolean => hasCode(error, ErrorCode.Timeout);

/** The connection was closed by someone here: it reconnects for ever, and does not come back from that. */
export const isClosedByUs = (error: unknown): boolean =>
  hasCode(error, ErrorCode.ConnectionClosed) || hasCode(error, ErrorCode.ConnectionDraining);

/** The server lets the user do no such thing: it was not done. */
export const isForbidden = (error: unknown): boolean => hasCode(error, ErrorCode.PermissionsViolation);

/** No answer of JetStream about the request itself: it may have been done or not. */
export const isUnanswered = (error: unknown): boolean =>
  error instanceof NatsError && error.api_error === undefined && !isForbidden(error);

/** The server does not know who we are. */
export const isNobody = (error: unknown): boolean =>
  hasCode(error, ErrorCode.AuthorizationViolation) ||
  hasCode(error, ErrorCode.BadAuthentication) ||
  hasCode(error, ErrorCode.AuthenticationExpired);

/** OpenSSL's words and Node's for a certificate that does not do, on either side; the client's for a server without TLS. */
const CERTIFICATE = /CERT|^UNABLE_TO_|SELF_SIGNED|^ERR_SSL|^ERR_TLS/;

export const isCertificateRefused = (error: unknown): boolean =>
  hasCode(error, ErrorCode.ServerOptionNotAvailable) ||
  CERTIFICATE.test((error as NodeJS.ErrnoException | undefined)?.code ?? '');

/** Waiting does not help: the server refuses who we are, or is not who it should be, or the address is none. */
export const isRefusedForGood = (error: unknown): boolean =>
  isNobody(error) ||
  isCertificateRefused(error) ||
  (error as NodeJS.ErrnoException | undefined)?.code === 'ERR_INVALID_URL';

/** The mesh is away, or comes back just now: JetStream's own answers about a request are below 500; 503 is "not ready yet". */
export const isMeshAway = (error: unknown): boolean =>
  error instanceof NatsError && !isForbidden(error) && (error.api_error === undefined || error.api_error.code >= 500);
