import { createHash, randomBytes } from 'node:crypto';
import { AtelierError } from '@atelier/contracts';

/** What a token may be for. Each stands for itself; admin is all of them. */
export const SCOPES = ['read', 'draw', 'train', 'admin'] as const;
export type Scope = (typeof SCOPES)[number];

/** What is kept of a token: enough to know it again, not to make it. */
export interface TokenEntry {
  name: string;
  scopes: readonly Scope[];
  /** SHA-256 of the token, in hexadecimal digits. */
  sha256: string;
}

const TOKEN_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
const SHA256 = /^[0-9a-f]{64}$/;
/** Nobody guesses 256 random bits, so that one round of SHA-256 keeps them as well as a slow hash would. */
const TOKEN_BYTES = 32;

/** A new token, and the entry that lets it in. The token itself is kept nowhere. */
export function newToken(name: string, scopes: readonly string[]): { token: string; entry: TokenEntry } {
  if (!TOKEN_NAME.test(name))
    throw new AtelierError(
      'INVALID_ARGUMENT',
      `${JSON.stringify(name.slice(0, 80))} is no name of a token: use letters, digits, dots, - and _, 63 at most`,
    );
  const token = `atelier_${randomBytes(TOKEN_BYTES).toString('base64url')}`;
  const known = [...new Set(scopes.map((scope) => scopeNamed(scope)))];
  if (known.length === 0)
    throw new AtelierError('INVALID_ARGUMENT', `token ${name} has no scopes: name some of ${SCOPES.join(', ')}`);
  return { token, entry: { name, scopes: known, sha256: tokenDigest(token).toString('hex') } };
}

export const tokenDigest = (token: string): Buffer => createHash('sha256').update(token).digest();

/** As a file of tokens has it, one a line. */
export const tokenLine = ({ name, scopes, sha256 }: TokenEntry): string => `${name} ${scopes.join(',')} ${sha256}`;

/**
 * Reads a file of tokens: a name, scopes with commas between them and the token's SHA-256, one a line; what follows a #
 * is a comment. One line that cannot be read makes all of it an error: it may be the one that takes a scope away.
 */
export function readTokens(text: string): TokenEntry[] {
  const entries: TokenEntry[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    const words = line.replace(/#.*/, '').trim();
    if (words === '') continue;
    const wrong = (reason: string): AtelierError =>
      new AtelierError(
        'INVALID_ARGUMENT',
        `line ${index + 1}: ${reason}; "atelier token NAME --scopes read" makes one`,
      );
    const [name = '', scopes = '', sha256 = '', ...others] = words.split(/\s+/);
    // Not repeated: it may be a token that was put here itself.
    if (!TOKEN_NAME.test(name) || !SHA256.test(sha256) || others.length > 0)
      throw wrong('a name, scopes and a SHA-256 of 64 hexadecimal digits (0-9, a-f) are needed, and no more');
    if (entries.some((entry) => entry.name === name)) throw wrong(`there is a token ${name} already`);
    try {
      entries.push({ name, scopes: scopes.split(',').map(scopeNamed), sha256 });
    } catch (error) {
      throw wrong(`token ${name}: ${(error as Error).message}`);
    }
  }
  return entries;
}

function scopeNamed(text: string): Scope {
  const scope = SCOPES.find((known) => known === text);
  if (scope) return scope;
  const given = JSON.stringify(text.slice(0, 40));
  throw new AtelierError(
    'INVALID_ARGUMENT',
    `${given} is no scope: use ${SCOPES.join(', ')}, with commas between them`,
  );
}
