import { AtelierError, ERROR_CODES, type ErrorCode } from '@atelier/contracts';

/** A failure of the engine: its code says what a caller can do, its message names the input, the reason and the remedy. */
export class EngineError extends AtelierError {
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(code, message, {}, options);
    this.name = 'EngineError';
  }
}

/** What the addon threw, as an EngineError; anything else stays as it is. */
export function asEngineError(error: unknown): unknown {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: string };
  return (ERROR_CODES as readonly unknown[]).includes(code)
    ? new EngineError(code as ErrorCode, message ?? '', { cause: error })
    : error;
}
