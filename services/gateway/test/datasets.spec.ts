import { once } from 'node:events';
import { request as httpRequest, type ServerResponse } from 'node:http';
import { buckets } from '@atelier/contracts';
import { BlobStore } from '@atelier/store';
import { datasetView } from '../src/datasets/dataset.view';
import { safeFileName } from '../src/datasets/upload';
import { playServices } from './fake-services';
import { form, startGateway, type Body, type TestGateway } from './harness';

const KiB = 1024;

describe('data sets', () => {
  let gateway: TestGateway;

  beforeAll(async () => {
    gateway = await startGateway({
      ATELIER_UPLOAD_FILE_MIB: '0.25',
      ATELIER_UPLOAD_TOTAL_MIB: '0.5',
      ATELIER_UPLOAD_FILES: '5',
    });
  });
  afterAll(() => gateway?.stop());

  const post = (body: Body, headers: Record<string, string> = {}) =>
    fetch(`${gateway.url}/v1/datasets`, { method: 'POST', body, headers });
  const stored = async () => (await new BlobStore(gateway.mesh).list(buckets.blobs.pictures)).length;
  const message = async (response: Response) =>
    ((await response.json()) as { error: { message: string } }).error.message;

  test('an upload is acknowledged when its files are stored, and read later', async () => {
    const response = await post(
      form(
        { name: 'herons', trigger: 'sks', width: '64', height: '96', flip: 'on' },
        { 'a.png': 'pixels', 'a.txt': 'a heron', 'broken.jpg': 'x' },
      ),
    );
    expect(response.status).toBe(202);
    const dataset = datasetView.parse(await response.json());
    expect(dataset).toMatchObject({
      name: 'herons',
      trigger: 'sks',
      width: 64,
      height: 96,
      flip: true,
      buckets: false,
      status: 'uploaded',
      files: 3,
    });

    const services = playServices(gateway.mesh);
    try {
      let state = dataset;
      for (let tries = 0; state.status !== 'ingested' && tries < 100; tries++) {
        await new Promise((resolve) => setTimeout(resolve, 50));
        state = datasetView.parse(await (await fetch(`${gateway.url}/v1/datasets/${dataset.id}`)).json());
      }
      expect(state).toMatchObject({
        status: 'ingested',
        samples: 1,
        rejected: [{ name: 'broken.jpg', reason: 'it is cut short' }],
      });
    } finally {
      await services.stop();
    }
    const list = (await (await fetch(`${gateway.url}/v1/datasets`)).json()) as { data: { id: string }[] };
    expect(list.data.map(({ id }) => id)).toContain(dataset.id);
    expect((await fetch(`${gateway.url}/v1/datasets/herons`)).status).toBe(200);
  });

  test('one that is not read yet is cancelled, and stays so', async () => {
    const { id } = datasetView.parse(await (await post(form({ name: 'unwanted' }, { 'a.png': 'pixels' }))).json());
    for (const key of ['unwanted', id]) {
      const response = await fetch(`${gateway.url}/v1/datasets/${key}/cancel`, { method: 'POST' });
      expect(response.status).toBe(202);
      expect(datasetView.parse(await response.json())).toMatchObject({ id, status: 'cancelled' });
    }
    expect((await fetch(`${gateway.url}/v1/datasets/nope/cancel`, { method: 'POST' })).status).toBe(404);
  });

  describe('over a limit - 413, a clear reason, and nothing kept', () => {
    test.each<[string, () => FormData, RegExp]>([
      [
        'a file too large',
        () => form({ name: 'x' }, { 'ok.png': 'x', 'big.png': Buffer.alloc(300 * KiB) }),
        /big\.png is over the limit of 0\.3 MiB a file/,
      ],
      [
        'too many files',
        () => form({ name: 'x' }, Object.fromEntries(Array.from({ length: 6 }, (_, n) => [`${n}.png`, 'x']))),
        /more than 5 files: send a \.zip/,
      ],
      [
        'too much announced',
        () =>
          form({ name: 'x' }, { a: Buffer.alloc(200 * KiB), b: Buffer.alloc(200 * KiB), c: Buffer.alloc(200 * KiB) }),
        /over the limit of 0\.5 MiB/,
      ],
      [
        'a field too long',
        () => form({ name: 'x', trigger: 'x'.repeat(70 * KiB) }, { a: 'x' }),
        /"trigger" is over 64 KiB/,
      ],
    ])('%s', async (_what, body, reason) => {
      const before = await stored();
      const response = await post(body());
      expect(response.status).toBe(413);
      expect(await message(response)).toMatch(reason);
      expect(await stored()).toBe(before);
    });

    test('too much, not announced', async () => {
      const before = await stored();
      const files = { a: Buffer.alloc(200 * KiB), b: Buffer.alloc(200 * KiB), c: Buffer.alloc(200 * KiB) };
      const encoded = new Response(form({ name: 'x' }, files));
      const response = await fetch(`${gateway.url}/v1/datasets`, {
        method: 'POST',
        headers: { 'content-type': encoded.headers.get('content-type') ?? '' },
        body: encoded.body,
        duplex: 'half',
      } as RequestInit);
      expect(response.status).toBe(413);
      expect(await message(response)).toMatch(/over the limit of 0\.5 MiB/);
      expect(await stored()).toBe(before);
    });
  });

  describe('what is not an upload - 400 and the reason', () => {
    test.each<[string, Body, Record<string, string>, RegExp]>([
      ['JSON', '{}', { 'content-type': 'application/json' }, /send multipart\/form-data/],
      ['no boundary', 'x', { 'content-type': 'multipart/form-data' }, /send multipart\/form-data with a boundary/],
      [
        'a form that ends early',
        '--b\r\nContent-Disposition: form-data; name="name"\r\n\r\nx\r\n--b\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\nhalf',
        { 'content-type': 'multipart/form-data; boundary=b' },
        /cannot be read/,
      ],
      ['no files', form({ name: 'x' }), {}, /has no files/],
      [
        'bad fields',
        form({ name: 'Not A Name', width: 'wide', height: '100', colour: 'red' }, { a: 'x' }),
        {},
        /name: .*width: .*height: .*colour: unknown field/,
      ],
      ['a bad yes or no', form({ name: 'x', flip: 'maybe' }, { a: 'x' }), {}, /flip: /],
    ])('%s', async (_what, body, headers, reason) => {
      const before = await stored();
      const response = await post(body, headers);
      expect(response.status).toBe(400);
      expect(await message(response)).toMatch(reason);
      expect(await stored()).toBe(before);
    });

    test('a field after the files', async () => {
      const data = form({ name: 'x' }, { 'a.png': 'x' });
      data.append('trigger', 'late');
      const response = await post(data);
      expect(response.status).toBe(400);
      expect(await message(response)).toMatch(/"trigger" comes after the files: send the fields first/);
    });
  });

  test('a connection that breaks in the middle leaves nothing, and the next upload goes well', async () => {
    const before = await stored();
    const seen = once(gateway.app.getHttpServer(), 'request') as Promise<[unknown, ServerResponse]>;
    const request = httpRequest(`${gateway.url}/v1/datasets`, {
      method: 'POST',
      headers: { 'content-type': 'multipart/form-data; boundary=b' },
    });
    request.on('error', () => undefined);
    request.write(
      '--b\r\nContent-Disposition: form-data; name="name"\r\n\r\nbroken\r\n--b\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\nhalf a picture',
    );
    const [, answer] = await seen;
    request.destroy();
    await once(answer, 'close');
    expect((await post(form({ name: 'after' }, { 'a.png': 'x' }))).status).toBe(202);
    expect((await fetch(`${gateway.url}/v1/datasets/broken`)).status).toBe(404);
    expect(await stored()).toBe(before + 1);
  });

  test.each([
    ['../../etc/passwd', 'etc/passwd'],
    ['C:\\pictures\\a.png', 'pictures/a.png'],
    ['/root/a.png', 'root/a.png'],
    ['a\u0000\n.png', 'a.png'],
    ['..', ''],
    ['set/a.png', 'set/a.png'],
  ])('a file named %j is labelled %j', (given, label) => expect(safeFileName(given)).toBe(label));

  test.each(['nope', '..%2f..%2fetc', 'a.b', '%2a', '%3e', '%00'])('GET /v1/datasets/%s is not found', async (id) => {
    expect((await fetch(`${gateway.url}/v1/datasets/${id}`)).status).toBe(404);
  });
});
