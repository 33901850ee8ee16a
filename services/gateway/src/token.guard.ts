import { createHash, timingSafeEqual } from 'node:crypto';
import { Injectable, SetMetadata, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { AtelierError } from '@atelier/contracts';
import type { Request } from 'express';
import { GatewayConfig } from './gateway.config';

const PUBLIC = 'atelier:public';

/** Marks a route that needs no token even when one is configured. */
export const Public = (): MethodDecorator & ClassDecorator => SetMetadata(PUBLIC, true);

/**
 * Lets in who has the token, if one is configured, and no page of another site.
 * A token in the address or in a cookie serves for reading only (an <img> or an EventSource can send no header): a foreign
 * page can make a browser send its cookies, but not an Authorization header.
 */
@Injectable()
export class TokenGuard implements CanActivate {
  private readonly expected: Buffer | undefined;

  constructor(
    private readonly config: GatewayConfig,
    private readonly reflector: Reflector,
  ) {
    this.expected = config.apiToken === undefined ? undefined : digest(config.apiToken);
  }

  canActivate(context: ExecutionContext): boolean {
    const request = context.switchToHttp().getRequest<Request>();
    const reads = request.method === 'GET' || request.method === 'HEAD';
    if (!reads) this.checkOrigin(request);
    if (
      this.expected === undefined ||
      this.reflector.getAllAndOverride<boolean>(PUBLIC, [context.getHandler(), context.getClass()])
    )
      return true;
    const given = bearer(request) ?? (reads ? (fromAddress(request) ?? fromCookie(request)) : undefined);
    if (given === undefined)
      throw new AtelierError(
        'UNAUTHENTICATED',
        'this gateway needs a token: send it as "Authorization: Bearer <token>"',
      );
    if (!timingSafeEqual(digest(given), this.expected))
      throw new AtelierError('UNAUTHENTICATED', 'the token is not the one that is configured in ATELIER_API_TOKEN');
    return true;
  }

  /** Browsers name the page that sends a writing request; other programs do not. */
  private checkOrigin({ headers }: Request): void {
    const { origin, host } = headers;
    if (origin === undefined || this.config.corsOrigins.includes(origin)) return;
    if (URL.canParse(origin) && new URL(origin).host === host) return;
    throw new AtelierError(
      'PERMISSION_DENIED',
      `pages of ${origin} may not write here: name it in ATELIER_CORS_ORIGINS if they should`,
    );
  }
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

function bearer({ headers }: Request): string | undefined {
  return /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1];
}

function fromAddress({ query }: Request): string | undefined {
  return typeof query.token === 'string' ? query.token : undefined;
}

function fromCookie({ headers }: Request): string | undefined {
  const pairs = (headers.cookie ?? '').split(';').map((pair) => pair.trim().split('='));
  const value = pairs.find(([name]) => name === 'atelier_token')?.[1];
  if (value === undefined) return undefined;
  try {
    return decodeURIComponent(value);
  } catch {
    return undefined;
  }
}
