import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newToken, SCOPES, tokenLine, type Scope } from '@atelier/client';
import { waitFor } from '@atelier/testing';
import { controllers } from '../src/controllers';
import { openApiDocument, routesOf } from '../src/openapi/document';
import { startGateway, type TestGateway } from './harness';

const OWN = 'the-token-of-the-settings';

interface Refusal {
  error: { message: string; code: string; type: string; details?: Record<string, string> };
}

describe('tokens with scopes', () => {
  const folder = mkdtempSync(join(tmpdir(), 'atelier-tokens-'));
  const file = join(folder, 'tokens');
  const made = new Map<string, string>();
  const lines: string[] = [];
  const add = (name: string, ...scopes: Scope[]): void => {
    const { token, entry } = newToken(name, scopes);
    made.set(name, token);
    lines.push(tokenLine(entry));
  };
  for (const scope of SCOPES) add(`only-${scope}`, scope);
  add('two', 'read', 'draw');

  let gateway: TestGateway;
  beforeAll(async () => {
    writeFileSync(file, `# tokens\n${lines.join('\n')}\n`);
    gateway = await startGateway({ ATELIER_API_TOKENS_FILE: file, ATELIER_API_TOKEN: OWN });
  });
  afterAll(async () => {
    await gateway?.stop();
    rmSync(folder, { recursive: true });
  });

  const ask = (method: string, path: string, token: string, body?: string): Promise<Response> =>
    fetch(gateway.url + path, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: body ?? (['GET', 'DELETE', 'HEAD'].includes(method) ? undefined : '{}'),
    });
  const routes = routesOf(controllers).map(({ method, path, needs }) => ({
    method: method.toUpperCase(),
    path: path.replace(/\{\w+\}/g, 'x'),
    needs,
  }));

  test.each(routes)('$method $path - takes tokens for $needs, and no others', async ({ method, path, needs }) => {
    const letsIn = async (token: string) => {
      const { status, body } = await ask(method, path, token);
      await body?.cancel(); // a stream of events has no end
      return [401, 403].includes(status) ? status : 'yes';
    };
    const told = await Promise.all(SCOPES.map((scope) => letsIn(made.get(`only-${scope}`)!)));
    const may = (scope: Scope) => scope === 'admin' || needs.every((needed) => needed === scope);
    expect(told).toEqual(SCOPES.map((scope) => (may(scope) ? 'yes' : 403)));
    expect(await letsIn(OWN)).toBe('yes');
    expect(await letsIn('atelier_unknown')).toBe(needs.length > 0 ? 401 : 'yes');
  });

  test('reading alone changes nothing but who is told: every other route that writes needs more', () => {
    for (const { method, path, needs } of routes) {
      const reads = method === 'GET' || path.startsWith('/v1/webhooks');
      expect([method, path, needs.includes('read') || needs.length === 0]).toEqual([method, path, reads]);
    }
  });

  test('the refusal names the scope that is missing, and who gives it', async () => {
    const answer = await ask('POST', '/v1/finetunes', made.get('two')!, '{"dataset":"x"}');
    expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([
      403,
      'Bearer error="insufficient_scope", scope="train"',
    ]);
    expect(((await answer.json()) as Refusal).error).toEqual({
      type: 'permission_error',
      code: 'permission_denied',
      param: 'scope',
      details: { scope: 'train' },
      message:
        'token two is for read, draw alone, and this needs train: whoever runs this gateway gives a token that may ' +
        '("atelier token NAME --scopes read,draw,train")',
    });
  });

  test('in an address or a cookie a token reads, whatever else it may do', async () => {
    const token = made.get('only-admin')!;
    const cookie = { cookie: `atelier_token=${token}` };
    expect((await fetch(`${gateway.url}/v1/models?token=${token}`)).status).toBe(200);
    expect((await fetch(`${gateway.url}/v1/models`, { headers: cookie })).status).toBe(200);
    expect((await fetch(`${gateway.url}/v1/models?token=${made.get('only-train')!}`)).status).toBe(403);
    expect((await fetch(`${gateway.url}/v1/store/sweep?token=${token}`, { method: 'POST' })).status).toBe(401);
    expect((await fetch(`${gateway.url}/v1/store/sweep`, { method: 'POST', headers: cookie })).status).toBe(401);
  });

  test('the document tells the scopes of each operation', () => {
    type Paths = Record<string, Record<string, { security: unknown }>>;
    const { paths } = openApiDocument(controllers) as { paths: Paths };
    expect(paths['/v1/images/generations']!.post!.security).toEqual([{ token: ['draw'] }, {}]);
    expect(paths['/v1/pictures/{name}']!.delete!.security).toEqual([{ token: ['draw', 'train'] }, {}]);
    expect(paths['/healthz']!.get!.security).toEqual([]);
  });

  // Last: it changes what the others use.
  test('what is added to the file is let in and what is taken out is not; a broken file changes nothing', async () => {
    const status = async (name: string) => (await ask('GET', '/v1/models', made.get(name)!)).status;
    add('new', 'read');
    const others = lines.filter((line) => !line.startsWith('two '));
    writeFileSync(file, others.join('\n'));
    await waitFor('the file to be read again', async () => (await status('new')) === 200);
    expect(await status('two')).toBe(401);
    const broken = jest.spyOn(process.stdout, 'write').mockReturnValue(true);
    writeFileSync(file, `${others.join('\n')}\nhalf a li`);
    await waitFor('it to be found broken', async () => {
      expect(await status('new')).toBe(200);
      return broken.mock.calls.length > 0 || status('two');
    });
    broken.mockRestore();
    writeFileSync(file, '');
    await waitFor('all of them to be taken out', async () => (await status('new')) === 401);
    expect((await ask('GET', '/v1/models', OWN)).status).toBe(200);
  });
});

describe('a gateway', () => {
  test('whose file of tokens is empty lets nobody in; one that cannot be read ends its start', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'atelier-tokens-'));
    const file = join(folder, 'tokens');
    writeFileSync(file, '# nobody yet\n');
    const gateway = await startGateway({ ATELIER_API_TOKENS_FILE: file });
    try {
      expect((await fetch(`${gateway.url}/v1/models`)).status).toBe(401);
      expect((await fetch(`${gateway.url}/healthz`)).status).toBe(200);
    } finally {
      await gateway.stop();
    }
    writeFileSync(file, 'ci read,write abc');
    await expect(startGateway({ ATELIER_API_TOKENS_FILE: file })).rejects.toThrow(
      `the tokens in ${file} (ATELIER_API_TOKENS_FILE) cannot be used: line 1:`,
    );
    rmSync(folder, { recursive: true });
    await expect(startGateway({ ATELIER_API_TOKENS_FILE: file })).rejects.toThrow(/cannot be used: ENOENT/);
  });
});
