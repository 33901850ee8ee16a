import type { Response } from 'express';

/**
 * Aborts when the client is gone: also when it went before anybody asked, since what has happened is not said again.
 */
export function clientLeft(response: Response): AbortSignal {
  const left = new AbortController();
  if (response.closed) left.abort();
  else response.once('close', () => left.abort());
  return left.signal;
}
