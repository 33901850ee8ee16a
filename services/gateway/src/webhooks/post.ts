import { lookup, type LookupAddress } from 'node:dns';
import { lookup as lookupAddresses } from 'node:dns/promises';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { AtelierError } from '@atelier/contracts';
import * as ipaddr from 'ipaddr.js';

/** Of one try, from the look-up of the name to the end of the answer. */
const TRY_MS = 15_000;
/** What is read of an answer, which nobody wants. */
const ANSWER_BYTES = 64 * 1024;

export interface PostOptions {
  /** Whether it may go to addresses that are not of the public internet. */
  toPrivate: boolean;
  timeoutMs?: number;
}

/** Whether an address is one that everybody can reach; an IPv4 address within IPv6 is what it stands for. */
export const isPublicAddress = (address: string): boolean => ipaddr.process(address).range() === 'unicast';

/**
 * Posts a body and gives the status of the answer, whatever it is. A redirection is not followed, and the address is
 * looked at after its name was looked up: what a name means may change in between (docs/decisions/0053).
 */
export async function post(
  url: string,
  headers: Record<string, string>,
  body: string,
  { toPrivate, timeoutMs = TRY_MS }: PostOptions,
): Promise<number> {
  const parsed = new URL(url);
  const host = hostOf(parsed);
  if (isIP(host) && !toPrivate) requirePublic(host, [host]);
  const send = parsed.protocol === 'https:' ? httpsRequest : httpRequest;
  const signal = AbortSignal.timeout(timeoutMs);
  try {
    return await new Promise<number>((resolve, reject) => {
      const length = String(Buffer.byteLength(body));
      const options = {
        method: 'POST',
        headers: { ...headers, 'content-length': length },
        agent: false as const,
        signal,
        lookup: toPrivate ? undefined : publicLookup,
      };
      send(parsed, options, (response) => void answered(response).then(resolve, reject))
        .on('error', reject)
        .end(body);
    });
  } catch (error) {
    if (signal.aborted) throw new AtelierError('DEADLINE_EXCEEDED', `no answer within ${timeoutMs / 1000} s`);
    throw error;
  }
}

/** Reads it to its end, which keeps what sent it from an error, or hangs up where that is too much. */
async function answered(response: IncomingMessage): Promise<number> {
  let size = 0;
  for await (const chunk of response) if ((size += (chunk as Buffer).length) > ANSWER_BYTES) break;
  return response.statusCode ?? 0;
}

/**
 * Throws PERMISSION_DENIED where an address is not public by now, so that who adds it hears of it at once. It spares no
 * delivery its own look: what a name means may change. Of a name that cannot be looked up nothing is known.
 */
export async function requirePublicUrl(url: string): Promise<void> {
  if (!URL.canParse(url)) return; // refused for that
  const host = hostOf(new URL(url));
  const found = await lookupAddresses(host, { all: true }).catch(() => []);
  requirePublic(
    host,
    found.map(({ address }) => address),
  );
}

/** Without the brackets of IPv6. */
const hostOf = ({ hostname }: URL): string => hostname.replace(/^\[(.*)\]$/, '$1');

const publicLookup: LookupFunction = (host, options, done) => {
  lookup(host, { ...options, all: true }, (error, found) => {
    const addresses = (found as LookupAddress[] | undefined) ?? [];
    if (error) return done(error, '', 0);
    try {
      requirePublic(
        host,
        addresses.map(({ address }) => address),
      );
    } catch (refusal) {
      return done(refusal as Error, '', 0);
    }
    if (options.all) return done(null, addresses);
    return done(null, addresses[0]!.address, addresses[0]!.family);
  });
};

function requirePublic(host: string, addresses: string[]): void {
  if (addresses.every(isPublicAddress)) return;
  throw new AtelierError(
    'PERMISSION_DENIED',
    `${host} is at an address that is not public: use one that is, or set ATELIER_WEBHOOK_PRIVATE=true`,
  );
}
