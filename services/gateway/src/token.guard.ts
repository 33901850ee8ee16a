import { Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import type { Scope } from '@atelier/client';
import { AtelierError } from '@atelier/contracts';
import type { Request, Response } from 'express';
import { bearer } from './access/bearer';
import { letInBy } from './access/holder';
import { needsOf } from './access/needs';
import { addressee, Rates } from './access/rates';
import { Tokens, type TokenHolder } from './access/tokens';
import { GatewayConfig } from './gateway.config';

/**
 * Lets in who has a token for what the route needs, if tokens are asked for, and no page of another site.
 * A token in the address or in a cookie serves for reading only (an <img> or an EventSource can send no header): a foreign
 * page can make a browser send its cookies, but not an Authorization header.
 */
@Injectable()
export class TokenGuard implements CanActivate {
  constructor(
    private readonly config: GatewayConfig,
    private readonly tokens: Tokens,
    private readonly rates: Rates,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const http = context.switchToHttp();
    const request = http.getRequest<Request>();
    const reads = request.method === 'GET' || request.method === 'HEAD';
    if (!reads) this.checkOrigin(request);
    const needs = needsOf(context.getHandler()) ?? ['admin']; // a route that was forgotten is open to nobody else
    if (needs.length === 0) return true;
    const given = bearer(request) ?? (reads ? (fromAddress(request) ?? fromCookie(request)) : undefined);
    const holder = given === undefined ? undefined : await this.tokens.find(given);
    const who = holder ? `token ${holder.name}` : addressee(request.socket.remoteAddress);
    await this.rates.take(reads ? 'reads' : 'writes', who);
    if (!this.tokens.required) return true;
    if (!holder) throw unauthenticated(given !== undefined);
    const missing = holder.scopes.includes('admin') ? [] : needs.filter((scope) => !holder.scopes.includes(scope));
    if (missing.length === 0) {
      letInBy(request, holder);
      return true;
    }
    const response = http.getResponse<Response>();
    response.setHeader('www-authenticate', `Bearer error="insufficient_scope", scope="${needs.join(' ')}"`);
    throw insufficient(holder, missing);
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

function unauthenticated(wasGiven: boolean): AtelierError {
  return new AtelierError(
    'UNAUTHENTICATED',
    wasGiven
      ? 'the token is none of those that this gateway takes: it is mistyped, or was withdrawn'
      : 'this gateway needs a token: send it as "Authorization: Bearer <token>"',
  );
}

function insufficient({ name, scopes }: TokenHolder, missing: readonly Scope[]): AtelierError {
  const wanted = [...scopes, ...missing].join(',');
  return new AtelierError(
    'PERMISSION_DENIED',
    `token ${name} is for ${scopes.join(', ')} alone, and this needs ${missing.join(' and ')}: whoever runs this ` +
      `gateway gives a token that may ("atelier token NAME --scopes ${wanted}")`,
    { scope: missing.join(' ') },
  );
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
