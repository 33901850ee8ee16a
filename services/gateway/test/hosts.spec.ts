import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { GatewayConfig, gatewaySettings } from '../src/gateway.config';
import { imageAnswer } from '../src/images/image.body';
import { loadConfig } from '@atelier/mesh';
import { playServices } from './fake-services';
import { askAs, startGateway, type Asked, type TestGateway } from './harness';

const TOKEN = 'a-secret-token';
const EVIL = 'evil.example:7870';
const DATASET = [
  '--b\r\nContent-Disposition: form-data; name="name"\r\n\r\nherons\r\n',
  '--b\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\nx\r\n--b--',
].join('');
const json = { 'content-type': 'application/json' };

describe('names that a gateway goes by', () => {
  let open: TestGateway;
  let closed: TestGateway;

  beforeAll(async () => {
    open = await startGateway();
    closed = await startGateway({
      ATELIER_API_TOKEN: TOKEN,
      ATELIER_HTTP_HOST: 'Gateway.lan',
      ATELIER_PUBLIC_URL: 'https://atelier.example.com/, http://gateway.atelier:8080',
      ATELIER_CORS_ORIGINS: 'https://friend.example',
    });
  });
  afterAll(async () => {
    await open?.stop();
    await closed?.stop();
  });

  // What a page under a name that resolves to this machine sends: to its browser it is all of one origin.
  const rebound: [string, string, Omit<Asked, 'host' | 'method'>?][] = [
    ['GET', '/'],
    ['GET', '/studio.js'],
    ['GET', '/healthz'],
    ['GET', '/metrics'],
    ['GET', '/openapi.json'],
    ['HEAD', '/v1/models'],
    ['GET', '/v1/models'],
    ['GET', '/v1/datasets'],
    ['GET', '/v1/finetunes'],
    ['GET', '/v1/adapters'],
    ['GET', '/v1/adapters/x'],
    ['GET', '/v1/pictures/x.png'],
    ['GET', '/v1/finetunes/x/events'],
    ['GET', '/no/such/route'],
    ['OPTIONS', '/v1/datasets', { headers: { 'access-control-request-method': 'POST' } }],
    ['POST', '/v1/datasets', { headers: { 'content-type': 'multipart/form-data; boundary=b' }, body: DATASET }],
    ['POST', '/v1/finetunes', { headers: json, body: '{"dataset":"x"}' }],
    ['POST', '/v1/finetunes/x/cancel'],
    ['PUT', '/v1/adapters/x', { headers: { 'content-type': 'application/octet-stream' }, body: 'x' }],
    ['POST', '/v1/images/generations', { headers: json, body: '{"prompt":"a heron"}' }],
  ];
  test.each(rebound)(
    '%s %s - is refused under a name of somebody else, with the token and without',
    async (method, path, { headers, body } = {}) => {
      const origin = { origin: `http://${EVIL}` };
      for (const [gateway, more] of [
        [open, origin],
        [closed, { ...origin, authorization: `Bearer ${TOKEN}` }],
      ] as const) {
        const { status, text } = await askAs(gateway.url + path, {
          method,
          host: EVIL,
          headers: { ...headers, ...more },
          body,
        });
        expect(status).toBe(403);
        if (method === 'HEAD') continue;
        expect(JSON.parse(text)).toEqual({
          error: {
            type: 'permission_error',
            code: 'permission_denied',
            param: null,
            message: expect.stringMatching(/"evil\.example:7870".*name http:\/\/evil\.example in ATELIER_PUBLIC_URL$/),
          },
        });
      }
    },
  );

  test('what was refused has left nothing', async () => {
    expect(await (await fetch(`${open.url}/v1/datasets`)).json()).toEqual({ object: 'list', data: [] });
  });

  const status = async (gateway: TestGateway, host: string): Promise<number> =>
    (await askAs(`${gateway.url}/healthz`, { host })).status;

  test.each([
    'localhost',
    'localhost:7870',
    'LocalHost:1',
    'localhost.',
    '127.0.0.1',
    '127.0.0.1:7870',
    '127.9.9.9',
    '[::1]',
    '[::1]:7870',
    '[::ffff:127.0.0.1]',
    '10.42.0.7:7870',
    '[fd00::7]:7870',
    '0.0.0.0',
  ])('Host %s is taken by every gateway: no page can have it that is not its own', async (host) => {
    expect(await status(open, host)).toBe(200);
    expect(await status(closed, host)).toBe(200);
  });

  test.each([
    'atelier.example.com',
    'ATELIER.example.com:443',
    'gateway.atelier',
    'friend.example',
    'gateway.lan:7870',
  ])('Host %s is taken where a setting has it', async (host) => {
    expect(await status(closed, host)).toBe(200);
    expect(await status(open, host)).toBe(403);
  });

  test.each([
    'evil.example',
    'gateway',
    'atelier.example.com.evil.example',
    'evil.atelier.example.com',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    'evil@127.0.0.1',
    '127.0.0.1/evil.example',
    'evil.example:99999',
    '[::1].evil.example',
    'x y',
    'null',
    '*',
  ])('Host %j is taken by none', async (host) => {
    expect(await status(open, host)).toBe(403);
    expect(await status(closed, host)).toBe(403);
  });

  test('a request of HTTP/1.0 without a Host, as some probes send it, is answered', async () => {
    const socket = connect(Number(new URL(open.url).port), '127.0.0.1');
    socket.write('GET /healthz HTTP/1.0\r\n\r\n');
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  });

  test('a page of another port of this machine still may not write', async () => {
    const own = await askAs(`${open.url}/v1/finetunes/x/cancel`, {
      method: 'POST',
      host: 'localhost:7870',
      headers: { origin: 'http://localhost:7870' },
    });
    const other = await askAs(`${open.url}/v1/finetunes/x/cancel`, {
      method: 'POST',
      host: 'localhost:7870',
      headers: { origin: 'http://localhost:3000' },
    });
    expect([own.status, other.status]).toEqual([404, 403]);
  });

  test('the address of a picture is the public one that the request came by, else the first', async () => {
    const services = playServices(closed.mesh);
    try {
      const drawn = async (host: string): Promise<string> => {
        const { text } = await askAs(`${closed.url}/v1/images/generations`, {
          method: 'POST',
          host,
          headers: { ...json, authorization: `Bearer ${TOKEN}` },
          body: '{"prompt":"a heron","size":"64x64"}',
        });
        return new URL(imageAnswer.parse(JSON.parse(text)).data[0]!.url!).origin;
      };
      expect(await drawn('gateway.atelier:8080')).toBe('http://gateway.atelier:8080');
      expect(await drawn('atelier.example.com')).toBe('https://atelier.example.com');
      expect(await drawn('10.42.0.7:7870')).toBe('https://atelier.example.com');
    } finally {
      await services.stop();
    }
  });
});

test.each(['atelier.example.com', 'https://a.example,b.example', 'ftp://a.example', 'http://'])(
  'ATELIER_PUBLIC_URL=%s is refused by its name, with how to write it',
  (url) => {
    expect(() => loadConfig(gatewaySettings, { ATELIER_PUBLIC_URL: url })).toThrow(
      /ATELIER_PUBLIC_URL is ".*": use https:\/\/atelier\.example\.com/,
    );
  },
);

test('without ATELIER_PUBLIC_URL, or with nothing in it, there is none', () => {
  for (const env of [{}, { ATELIER_PUBLIC_URL: '' }])
    expect(new GatewayConfig(loadConfig(gatewaySettings, env)).publicUrls).toEqual([]);
});
