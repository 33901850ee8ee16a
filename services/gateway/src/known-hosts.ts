import { isIP } from 'node:net';
import { AtelierError } from '@atelier/contracts';
import type { RequestHandler } from 'express';
import type { GatewayConfig } from './gateway.config';

/**
 * Refuses requests under a name that this gateway does not have. A page of evil.example whose name is made to resolve
 * to this machine (DNS rebinding) is of one origin with the gateway as its browser sees it: only the Host that it names
 * tells it apart. An address cannot be made to mean another machine, so every one is taken; of names, localhost and
 * those in the settings. It is asked before anything is answered, with a token or without. (docs/decisions/0023)
 */
export function knownHostsOnly(config: Pick<GatewayConfig, 'host' | 'publicUrls' | 'corsOrigins'>): RequestHandler {
  const pages = [...config.publicUrls, ...config.corsOrigins].filter((url) => URL.canParse(url));
  const names = new Set(['localhost', config.host.toLowerCase(), ...pages.map((url) => new URL(url).hostname)]);
  return ({ headers: { host } }, _response, next) => {
    // Only HTTP/1.0 may leave it out, and no browser does.
    if (host === undefined) {
      next();
      return;
    }
    const name = hostName(host);
    if (name !== undefined && (isIP(name) !== 0 || names.has(name))) {
      next();
      return;
    }
    const named = JSON.stringify(host.slice(0, 100));
    next(
      new AtelierError(
        'PERMISSION_DENIED',
        `this gateway does not go by the name ${named} (header Host), under which any web page could use it: ` +
          `use its address or localhost, or name http://${name ?? 'its-name'} in ATELIER_PUBLIC_URL`,
      ),
    );
  };
}

/** As URLs have it: lower case, without port and brackets; without the dot that may end a full name. */
function hostName(host: string): string | undefined {
  if (/[\s/?#@\\]/.test(host) || !URL.canParse(`http://${host}`)) return undefined;
  const { hostname } = new URL(`http://${host}`);
  return hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '');
}
