import { NatsError } from 'nats';

/** An error as the NATS client throws it; with `refusal` it is what JetStream itself answered. */
export function natsError(
  code: string,
  refusal?: { code: number; err_code?: number; description?: string },
): NatsError {
  const error = new NatsError(refusal?.description ?? code, code);
  if (refusal) error.api_error = { err_code: 0, description: code, ...refusal };
  return error;
}
