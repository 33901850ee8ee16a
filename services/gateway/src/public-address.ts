import type { Request } from 'express';
import type { GatewayConfig } from './gateway.config';

/** The public one that the request came by; behind a proxy that gives it another Host, the first. */
export function publicAddress(
  { protocol, headers }: Request,
  { publicUrls }: Pick<GatewayConfig, 'publicUrls'>,
): string {
  const asked = publicUrls.find((url) => new URL(url).host === headers.host);
  return asked ?? publicUrls[0] ?? `${protocol}://${headers.host}`;
}
