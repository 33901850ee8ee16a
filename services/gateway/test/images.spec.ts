import { buckets } from '@atelier/contracts';
import { BlobStore } from '@atelier/store';
import { adapterBytes } from './adapter-bytes';
import { imageAnswer } from '../src/images/image.body';
import { FAKE_PICTURE, playServices } from './fake-services';
import { postJson, startGateway, type TestGateway } from './harness';

type Refusal = { error: { message: string } };

describe('pictures and adapters', () => {
  let gateway: TestGateway;
  let services: { stop(): Promise<void> };

  beforeAll(async () => {
    gateway = await startGateway({ ATELIER_ADAPTER_MIB: '0.1' });
    services = playServices(gateway.mesh);
    expect((await put('style', adapterBytes())).status).toBe(201);
  });
  afterAll(async () => {
    await services?.stop();
    await gateway?.stop();
  });

  const put = (name: string, body: Uint8Array | string, query = '') =>
    fetch(`${gateway.url}/v1/adapters/${name}${query}`, {
      method: 'PUT',
      body: body as string,
      headers: { 'content-type': 'application/octet-stream' },
    });
  const draw = (body: unknown) => postJson(`${gateway.url}/v1/images/generations`, body);

  test('an image request of OpenAI gives addresses, and the pictures are there', async () => {
    const response = await draw({
      prompt: 'a heron',
      n: 2,
      size: '64x96',
      model: 'style',
      quality: 'auto',
      user: 'someone',
    });
    expect(response.status).toBe(200);
    const answer = imageAnswer.parse(await response.json());
    expect(answer.data).toHaveLength(2);
    for (const { url } of answer.data) {
      expect(url).toMatch(new RegExp(`^${gateway.url}/v1/pictures/gen-`));
      const picture = await fetch(url!);
      expect(picture.headers.get('content-type')).toBe('image/png');
      expect(Buffer.from(await picture.arrayBuffer()).equals(FAKE_PICTURE)).toBe(true);
    }
  });

  test('as the studio page asks: base64, with a seed that comes back', async () => {
    const answer = imageAnswer.parse(
      await (await draw({ prompt: 'a heron', size: '64x64', steps: 2, seed: 7, response_format: 'b64_json' })).json(),
    );
    expect(Buffer.from(answer.data[0]!.b64_json!, 'base64').equals(FAKE_PICTURE)).toBe(true);
    expect([answer.seed, answer.preemptions]).toEqual([7, 2]);
  });

  test.each<[string, unknown, number, RegExp]>([
    ['no prompt', {}, 400, /prompt/],
    ['a size that is no multiple of 16', { prompt: 'x', size: '100x100' }, 400, /multiples of 16/],
    ['a size that is none', { prompt: 'x', size: 'large' }, 400, /WIDTHxHEIGHT/],
    ['a size beyond reason', { prompt: 'x', size: '9600x9600' }, 400, /4096/],
    ['too many', { prompt: 'x', n: 11 }, 400, /n: /],
    ['an unknown field', { prompt: 'x', colour: 'red' }, 400, /colour: unknown field/],
    ['an unknown model', { prompt: 'x', model: 'dall-e-3' }, 404, /no adapter "dall-e-3"/],
    ['an adapter name that climbs', { prompt: 'x', adapter: '../../x' }, 404, /no adapter/],
  ])('%s is refused', async (_what, body, status, reason) => {
    const response = await draw(body);
    expect(response.status).toBe(status);
    expect(((await response.json()) as Refusal).error.message).toMatch(reason);
  });

  test('GET /v1/models lists the base and the adapters', async () => {
    const { data } = (await (await fetch(`${gateway.url}/v1/models`)).json()) as {
      data: { id: string; object: string }[];
    };
    expect(data.map(({ id }) => id)).toEqual(expect.arrayContaining(['base', 'style']));
    expect(data.every(({ object }) => object === 'model')).toBe(true);
  });

  test('an adapter goes in and comes out byte for byte', async () => {
    const bytes = adapterBytes({ rank: 4 });
    const response = await put('mine', bytes);
    expect(response.status).toBe(201);
    expect(await response.json()).toMatchObject({ name: 'mine', rank: 4, bytes: bytes.byteLength });
    const download = await fetch(`${gateway.url}/v1/adapters/mine`);
    expect(download.headers.get('content-disposition')).toBe('attachment; filename="mine.safetensors"');
    expect(Buffer.from(await download.arrayBuffer()).equals(Buffer.from(bytes))).toBe(true);
    expect((await put('mine', bytes)).status).toBe(409);
    expect((await put('mine', adapterBytes({ rank: 2 }), '?replace=true')).status).toBe(201);
  });

  test.each<[string, string, Uint8Array | string, number, RegExp]>([
    ['a text', 'bad', 'this is not a LoRA at all', 400, /cannot be used/],
    ['nothing', 'bad', '', 400, /./],
    ['too much', 'bad', Buffer.alloc(200 * 1024), 413, /over the limit/],
    ['a name that is none', 'Bad%20Name', adapterBytes(), 400, /lower-case letters/],
    ['a name that climbs', '..%2fbad', adapterBytes(), 400, /lower-case letters/],
  ])('bringing in %s is refused', async (_what, name, body, status, reason) => {
    const response = await put(name, body);
    expect(response.status).toBe(status);
    expect(((await response.json()) as Refusal).error.message).toMatch(reason);
    expect((await fetch(`${gateway.url}/v1/adapters/bad`)).status).toBe(404);
  });

  test('an unknown format is refused', async () => {
    expect((await fetch(`${gateway.url}/v1/adapters/style?format=zip`)).status).toBe(400);
  });

  test.each([
    '..%2f..%2fetc%2fpasswd',
    '../../etc/passwd',
    '.hidden',
    'a/../b.png',
    'a%00.png',
    'nothing.png',
    '%2fetc%2fpasswd',
    'x'.repeat(300),
  ])('picture %j is not found', async (name) => {
    expect((await fetch(`${gateway.url}/v1/pictures/${name}`)).status).toBe(404);
  });

  test('a picture is found by a name in folders, and its type follows from its name', async () => {
    await new BlobStore(gateway.mesh).put(buckets.blobs.samples, 'run-1/step-2.webp', Buffer.from('webp'));
    const response = await fetch(`${gateway.url}/v1/pictures/run-1/step-2.webp`);
    expect([response.status, response.headers.get('content-type'), await response.text()]).toEqual([
      200,
      'image/webp',
      'webp',
    ]);
  });

  test('a route that is not there is told in the shape of OpenAI', async () => {
    const response = await fetch(`${gateway.url}/v1/nothing`);
    expect(response.status).toBe(404);
    expect(await response.json()).toEqual({
      error: {
        type: 'invalid_request_error',
        code: 'not_found',
        param: null,
        message: expect.stringContaining('/openapi.json'),
      },
    });
  });

  test('health and metrics tell of themselves', async () => {
    expect(await (await fetch(`${gateway.url}/healthz`)).json()).toEqual({
      status: 'ok',
      nats: 'connected',
      reason: null,
      store: { state: 'unknown', room_bytes: null, reserve_bytes: null },
    });
    const metrics = await (await fetch(`${gateway.url}/metrics`)).text();
    expect(metrics).toMatch(/^atelier_http_request_seconds_count\{.*route="\/v1\/models".*\} \d+$/m);
  });
});
