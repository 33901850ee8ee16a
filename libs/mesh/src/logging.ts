import type { LoggerService } from '@nestjs/common';
import pino from 'pino';
import { logFields } from './tracing/context';

export type Logger = pino.Logger;

/**
 * Logs to stderr: stdout belongs to what a person asked for. JSON lines; ATELIER_LOG_LEVEL sets what is written. Each says which run, data
 * set or drawing it is about, and in which trace, where it is written within the handling of one.
 */
export function createLogger(
  name: string,
  level = process.env['ATELIER_LOG_LEVEL'] ?? 'info',
  to: pino.DestinationStream = pino.destination({ fd: 2, sync: true }),
): Logger {
  return pino({ name, level, base: { name }, timestamp: pino.stdTimeFunctions.isoTime, mixin: logFields }, to);
}

/** Nest's own messages through the same logger. */
export function nestLogger(logger: Logger): LoggerService {
  const text = (message: unknown): string => (typeof message === 'string' ? message : JSON.stringify(message));
  return {
    log: (message: unknown) => logger.debug(text(message)),
    error: (message: unknown, ...rest: unknown[]) => logger.error({ rest }, text(message)),
    warn: (message: unknown) => logger.warn(text(message)),
    debug: (message: unknown) => logger.trace(text(message)),
    verbose: (message: unknown) => logger.trace(text(message)),
  };
}
