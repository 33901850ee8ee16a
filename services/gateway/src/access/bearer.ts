import type { Request } from 'express';

/** The token of a request's Authorization header. */
export function bearer({ headers }: Pick<Request, 'headers'>): string | undefined {
  return /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1];
}
