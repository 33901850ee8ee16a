import { startGateway, postJson, type TestGateway } from './harness';

const TOKEN = 'a-secret-token';

describe('who is let in', () => {
  let closed: TestGateway;
  let open: TestGateway;

  beforeAll(async () => {
    closed = await startGateway({ ATELIER_API_TOKEN: TOKEN });
    open = await startGateway({ ATELIER_CORS_ORIGINS: 'https://friend.example' });
  });
  afterAll(async () => {
    await closed?.stop();
    await open?.stop();
  });

  const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
  const cookie = (token: string) => ({ cookie: `other=1; atelier_token=${token}` });

  describe('with a token configured', () => {
    const reads = [
      '/v1/datasets',
      '/v1/finetunes',
      '/v1/adapters',
      '/v1/models',
      '/v1/finetunes/x',
      '/v1/finetunes/x/events',
      '/v1/adapters/x',
      '/v1/pictures/x.png',
      '/metrics',
    ];
    test.each(reads)('GET %s - is refused without it, with a wrong one, and answered with it', async (path) => {
      const status = async (address: string, headers: Record<string, string> = {}) =>
        (await fetch(closed.url + address, { headers })).status;
      expect(await status(path)).toBe(401);
      expect(await status(path, bearer('wrong-token'))).toBe(401);
      expect(await status(path, { authorization: `Basic ${TOKEN}` })).toBe(401);
      expect(await status(path, cookie('wrong-token'))).toBe(401);
      expect(await status(`${path}?token=wrong-token`)).toBe(401);
      const answered = path.includes('/x') ? 404 : 200;
      expect(await status(path, bearer(TOKEN))).toBe(answered);
      expect(await status(path, cookie(TOKEN))).toBe(answered);
      expect(await status(`${path}?token=${TOKEN}`)).toBe(answered);
    });

    const writes: [string, string][] = [
      ['POST', '/v1/datasets'],
      ['POST', '/v1/finetunes'],
      ['POST', '/v1/finetunes/x/cancel'],
      ['PUT', '/v1/adapters/x'],
      ['POST', '/v1/images/generations'],
    ];
    test.each(writes)('%s %s - takes the token from the header only', async (method, path) => {
      const status = async (address: string, headers: Record<string, string> = {}) =>
        (await fetch(closed.url + address, { method, headers, body: '{}' })).status;
      expect(await status(path)).toBe(401);
      expect(await status(path, cookie(TOKEN))).toBe(401);
      expect(await status(`${path}?token=${TOKEN}`)).toBe(401);
      expect(await status(path, bearer(TOKEN))).not.toBe(401);
    });

    test.each(['/', '/studio.js', '/studio.css', '/healthz', '/openapi.json'])('GET %s - needs none', async (path) => {
      expect((await fetch(closed.url + path)).status).toBe(200);
    });

    test('the refusal says what to send, in the shape of OpenAI', async () => {
      const response = await fetch(`${closed.url}/v1/datasets`);
      expect(response.headers.get('www-authenticate')).toBe('Bearer');
      expect(await response.json()).toEqual({
        error: {
          type: 'authentication_error',
          code: 'unauthenticated',
          param: null,
          message: expect.stringContaining('Authorization: Bearer'),
        },
      });
    });
  });

  describe('with none configured', () => {
    test('requests need nothing', async () => {
      expect((await fetch(`${open.url}/v1/datasets`)).status).toBe(200);
    });

    test.each([
      ['no page at all', undefined, 404],
      ['its own page', 'self', 404],
      ['a page that is named in the settings', 'https://friend.example', 404],
      ['a page of another site', 'https://evil.example', 403],
      ['a page from a file', 'null', 403],
    ])('a write from %s', async (_who, origin, status) => {
      const headers: Record<string, string> =
        origin === undefined ? {} : { origin: origin === 'self' ? open.url : origin };
      const response = await postJson(`${open.url}/v1/finetunes/x/cancel`, {}, headers);
      expect(response.status).toBe(status);
    });

    test('CORS is answered to named origins only, and off by default', async () => {
      const allowed = async (gateway: TestGateway, origin: string) =>
        (await fetch(`${gateway.url}/v1/datasets`, { headers: { origin, ...bearer(TOKEN) } })).headers.get(
          'access-control-allow-origin',
        );
      expect(await allowed(open, 'https://friend.example')).toBe('https://friend.example');
      expect(await allowed(open, 'https://evil.example')).toBeNull();
      expect(await allowed(closed, 'https://friend.example')).toBeNull();
    });
  });

  test('every answer carries the security headers', async () => {
    for (const path of ['/', '/v1/datasets', '/nowhere']) {
      const { headers } = await fetch(open.url + path);
      expect(headers.get('content-security-policy')).toContain("default-src 'none'");
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('x-frame-options')).toBe('DENY');
      expect(headers.get('referrer-policy')).toBe('no-referrer');
      expect(headers.get('x-powered-by')).toBeNull();
    }
  });

  test('what is outside of the studio folder is not served', async () => {
    for (const path of ['/..%2f..%2fpackage.json', '/%2e%2e/%2e%2e/package.json', '/.git/config']) {
      expect((await fetch(open.url + path)).status).toBeGreaterThanOrEqual(400);
    }
  });
});
