import { randomUUID } from 'node:crypto';
import { Catch, Logger, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { Response } from 'express';
import { httpError, retryAfter } from './http-error';

/** Every failure leaves in OpenAI's error shape. */
@Catch()
export class ErrorFilter implements ExceptionFilter {
  private readonly logger = new Logger('gateway');

  catch(error: unknown, host: ArgumentsHost): void {
    const response = host.switchToHttp().getResponse<Response>();
    const reference = randomUUID();
    const { status, body, unforeseen } = httpError(error, reference);
    if (unforeseen) this.logger.error({ reference, err: error }, error instanceof Error ? error.stack : undefined);
    if (response.headersSent) {
      response.destroy(); // a stream that broke in the middle: the client must not take it for whole
      return;
    }
    if (status === 401) response.setHeader('www-authenticate', 'Bearer');
    const seconds = retryAfter(error, status);
    if (seconds !== undefined) response.setHeader('retry-after', seconds);
    response.status(status).json(body);
  }
}
