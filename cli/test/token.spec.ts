import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readTokens, tokenDigest } from '@atelier/client';
import { inProcess } from './run-cli';

describe('atelier token', () => {
  const folder = mkdtempSync(join(tmpdir(), 'atelier-token-'));
  const file = join(folder, 'tokens');
  afterAll(() => rmSync(folder, { recursive: true }));

  test('prints a token and the line that lets it in, which is all that stdout has', async () => {
    const { code, stdout } = await inProcess(['token', 'ci', '--scopes', 'read,draw']);
    const [token, line, ...rest] = stdout.split('\n');
    expect([code, rest]).toEqual([0, ['']]);
    const sha256 = tokenDigest(token!).toString('hex');
    expect(readTokens(line!)).toEqual([{ name: 'ci', scopes: ['read', 'draw'], sha256 }]);
  });

  test('adds the line to a file, which nobody else may read, also where that has no line break at its end', async () => {
    const one = await inProcess(['token', 'one', '--file', file, '--json']);
    expect(JSON.parse(one.stdout)).toMatchObject({ type: 'token', name: 'one', scopes: ['read'] });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    writeFileSync(file, readFileSync(file, 'utf8').trimEnd());
    const { token } = JSON.parse((await inProcess(['token', 'two', '--file', file, '--json'])).stdout) as {
      token: string;
    };
    expect(readTokens(readFileSync(file, 'utf8'))).toEqual([
      expect.objectContaining({ name: 'one' }),
      { name: 'two', scopes: ['read'], sha256: tokenDigest(token).toString('hex') },
    ]);
  });

  test('a name that is there already, or a scope that there is none of, is refused and nothing is written', async () => {
    const before = readFileSync(file, 'utf8');
    const again = await inProcess(['token', 'one', '--file', file]);
    expect([again.code, again.stdout, again.stderr]).toEqual([
      2,
      '',
      expect.stringContaining(`${file} would not be a file of tokens: line 3: there is a token one already`),
    ]);
    expect(await inProcess(['token', 'three', '--scopes', 'write', '--file', file])).toMatchObject({ code: 2 });
    expect(readFileSync(file, 'utf8')).toBe(before);
  });
});
