import { createHash } from 'node:crypto';
import { AtelierError } from '@atelier/contracts';
import { newToken, readTokens, tokenLine } from '../src';

const DIGEST = 'a'.repeat(64);

test('a token is random, and its line has only what knows it again', () => {
  const { token, entry } = newToken('ci', ['read', 'draw', 'read']);
  expect(token).toMatch(/^atelier_[A-Za-z0-9_-]{43}$/);
  expect(newToken('ci', ['read']).token).not.toBe(token);
  expect(entry).toEqual({
    name: 'ci',
    scopes: ['read', 'draw'],
    sha256: createHash('sha256').update(token).digest('hex'),
  });
  expect(tokenLine(entry)).not.toContain(token);
  expect(readTokens(`${tokenLine(entry)}\n`)).toEqual([entry]);
});

test('a file has comments, empty lines and several tokens, in the order of its lines', () => {
  const text = `# who may\n\n  ci read,draw ${DIGEST}  # the build\r\nboss admin ${'b'.repeat(64)}`;
  expect(readTokens(text)).toEqual([
    { name: 'ci', scopes: ['read', 'draw'], sha256: DIGEST },
    { name: 'boss', scopes: ['admin'], sha256: 'b'.repeat(64) },
  ]);
  expect(readTokens('')).toEqual([]);
});

test.each([
  [
    'a scope that there is none of',
    `ci read,write ${DIGEST}`,
    /^line 1: token ci: "write" is no scope: use read, draw/,
  ],
  ['no scope', `ci ${DIGEST}`, /^line 1: a name, scopes and a SHA-256/],
  ['an empty scope', `ci read, ${DIGEST}`, /"" is no scope/],
  ['a digest that is cut short', `ok read ${DIGEST}\nci read abc`, /^line 2: a name, scopes/],
  ['a digest in capitals', `ci read ${'A'.repeat(64)}`, /^line 1: a name, scopes/],
  ['the token itself', 'ci read atelier_secret', /^line 1: a name, scopes/],
  ['a word too many', `ci read ${DIGEST} draw`, /^line 1: a name, scopes/],
  ['a name twice', `ci read ${DIGEST}\nci draw ${'b'.repeat(64)}`, /^line 2: there is a token ci already/],
  ['a name that is none', `../ci read ${DIGEST}`, /^line 1: a name, scopes/],
])('a file with %s is refused by its line', (_what, text, message) => {
  expect(() => readTokens(text)).toThrow(message);
});

test('a token that stands where its line should is not told to whoever reads the error', () => {
  expect(() => readTokens('atelier_very-secret')).toThrow(/^(?!.*very-secret)/);
});

test.each([
  ['a b', ['read']],
  ['ci', ['reed']],
  ['ci', []],
  ['', ['read']],
])('a token %j for %j is not made', (name, scopes) => {
  expect(() => newToken(name, scopes)).toThrow(AtelierError);
});
