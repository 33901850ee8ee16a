import { DebugEvents, ErrorCode, Events, NatsError, type NatsConnection } from 'nats';

/** What the client keeps of a request until it is answered or its time is over; not in its declarations. */
interface Pending {
  resolver(error: NatsError, message: object): void;
}

/**
 * When requests are lost: those under way when the connection breaks, whose answers go with it; and those that were made since, each
 * time the client dials again, since it begins with an empty buffer.
 */
const LOSES_REQUESTS: ReadonlySet<string> = new Set([Events.Disconnect, DebugEvents.Reconnecting]);

export const losesRequests = (status: { type: string }): boolean => LOSES_REQUESTS.has(status.type);

/**
 * Fails every request that waits for an answer. The client itself would have each wait out its time, though it never comes,
 * and the server may be there again a moment later. Whether it was done nobody knows, as after a timeout.
 */
export function failRequests(nc: NatsConnection): void {
  const { protocol } = nc as unknown as { protocol: { muxSubscriptions: { all(): Pending[] } } };
  for (const request of protocol.muxSubscriptions.all())
    request.resolver(new NatsError('the connection was lost before the answer came', ErrorCode.Disconnect), {});
}
