import { AtelierError, type ErrorCode } from '@atelier/contracts';

/** Says which file, what is wrong with it, and what to do. */
export class CheckpointError extends AtelierError {
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(code, message, {}, options);
    this.name = 'CheckpointError';
  }
}
