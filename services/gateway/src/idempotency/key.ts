import { createHash, type Hash } from 'node:crypto';
import { AtelierError } from '@atelier/contracts';
import type { Request } from 'express';
import { bearer } from '../access/bearer';

const LONGEST_KEY = 255;

/** The key that a request carries; undefined: none. RFC drafts have it in quotes, most clients do not: both are the same. */
export function idempotencyKey({ headers }: Pick<Request, 'headers'>): string | undefined {
  const given = headers['idempotency-key'];
  if (given === undefined) return undefined;
  const key = /^"(.*)"$/.exec(String(given))?.[1] ?? String(given);
  if (key.length > 0 && key.length <= LONGEST_KEY && /^[\x21-\x7e]+$/.test(key)) return key;
  throw new AtelierError(
    'INVALID_ARGUMENT',
    `Idempotency-Key has ${key.length} characters: use 1 to ${LONGEST_KEY} of ASCII without blanks, such as a UUID`,
  );
}

/** Where in KV a token's request of a key is noted: it names neither the key nor the token, of which each has its own keys. */
export function entryOf(request: Pick<Request, 'headers'>, key: string): string {
  return createHash('sha256')
    .update(JSON.stringify([bearer(request) ?? '', key]))
    .digest('hex');
}

type Fingerprinted = Pick<Request, 'method' | 'originalUrl' | 'headers' | 'body'>;

/** What two requests must have in common to be one; of a body that is streamed its type alone, bodyDigest is the rest. */
export function fingerprintOf({ method, originalUrl, headers, body }: Fingerprinted): string {
  const type = (headers['content-type'] ?? '').split(';')[0]!.trim().toLowerCase();
  const json: unknown = body ?? null;
  return createHash('sha256')
    .update(JSON.stringify([method, originalUrl, type, json]))
    .digest('hex');
}

const digests = new WeakMap<object, Hash>();

/** Has whoever reads the request's body put what was read into a digest. */
export function digestBody(request: object): Hash {
  const digest = createHash('sha256');
  digests.set(request, digest);
  return digest;
}

/** Where to put what is read of a body, if anybody wants to know. */
export function bodyDigest(request: object): Hash | undefined {
  return digests.get(request);
}
