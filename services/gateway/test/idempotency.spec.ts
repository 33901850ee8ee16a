import type { AddressInfo } from 'node:net';
import { buckets, Dataset, DatasetState, Generation, KeyedRequest, Run, RunState, timestamp } from '@atelier/contracts';
import { StateStore } from '@atelier/store';
import { ErrorCode, NatsError } from 'nats';
import { createGateway } from '../src/app';
import { GatewayConfig, gatewaySettings } from '../src/gateway.config';
import { entryOf, idempotencyKey } from '../src/idempotency/key';
import { KeyedRequests, SILENT_MS } from '../src/idempotency/keyed-requests';
import { adapterBytes } from './adapter-bytes';
import { playServices } from './fake-services';
import { form, postJson, startGateway, type TestGateway } from './harness';

describe('an Idempotency-Key', () => {
  let gateway: TestGateway;
  let requests: StateStore<KeyedRequest>;
  let runs: StateStore<Run>;
  let datasets: StateStore<Dataset>;
  let other: Awaited<ReturnType<typeof createGateway>>;
  let otherUrl: string;
  beforeAll(async () => {
    gateway = await startGateway();
    const { mesh } = gateway;
    [requests, runs, datasets] = [
      new StateStore(mesh, 'idempotency', KeyedRequest),
      new StateStore(mesh, buckets.state.runs, Run),
      new StateStore(mesh, buckets.state.datasets, Dataset),
    ];
    const id = 'dataset-0k3v9x2m1abcdefgh';
    await datasets.create(id, Dataset.create({ id, name: 'herons', state: DatasetState.DATASET_STATE_INGESTED }));
    other = await createGateway(
      new GatewayConfig(gatewaySettings.parse({ ATELIER_NATS_URL: 'nats://unused', ATELIER_GENERATE_SECONDS: '0.5' })),
      mesh,
    );
    await other.listen(0, '127.0.0.1');
    otherUrl = `http://127.0.0.1:${(other.getHttpServer().address() as AddressInfo).port}`;
  });
  afterAll(async () => {
    await other?.close();
    await gateway?.stop();
  });

  const entry = (key: string) => entryOf({ headers: {} }, key);
  const start = (key: string, body: object = { dataset: 'herons' }, url = gateway.url) =>
    postJson(`${url}/v1/finetunes`, body, { 'idempotency-key': key });
  const count = async () => (await runs.keys()).length;

  test('has what was done answered once more, byte for byte, by any gateway', async () => {
    const before = await count();
    const first = await start('a');
    const text = await first.text();
    expect([first.status, first.headers.get('idempotent-replayed')]).toEqual([202, null]);
    for (const url of [gateway.url, otherUrl]) {
      const again = await start('"a"', undefined, url);
      expect([again.status, again.headers.get('idempotent-replayed'), await again.text()]).toEqual([202, 'true', text]);
    }
    expect(await count()).toBe(before + 1);
  });

  test('of another request is refused, whoever asks', async () => {
    await start('b');
    const refused = await start('b', { dataset: 'herons', rank: 8 }, otherUrl);
    expect(refused.status).toBe(422);
    expect(await refused.json()).toMatchObject({ error: { message: expect.stringContaining('a key of its own') } });
    const elsewhere = await postJson(`${gateway.url}/v1/datasets/herons/cancel`, {}, { 'idempotency-key': 'b' });
    expect(elsewhere.status).toBe(422);
    const tokened = { 'idempotency-key': 'b', authorization: 'Bearer somebody-else' };
    expect((await postJson(`${gateway.url}/v1/finetunes`, { dataset: 'herons' }, tokened)).status).toBe(202);
  });

  test('of a request that is refused stays free', async () => {
    expect((await start('c', { dataset: 'nothing' })).status).toBe(404);
    expect((await start('c', { dataset: 'nothing', rank: -1 })).status).toBe(400);
    expect((await start('c')).status).toBe(202);
  });

  test('at two gateways at once has one of them do it', async () => {
    const before = await count();
    const tries = await Promise.all(
      Array.from({ length: 8 }, (_, n) => start('d', undefined, n % 2 ? otherUrl : gateway.url)),
    );
    const statuses = tries.map(({ status }) => status);
    expect(statuses.filter((status) => status !== 202 && status !== 409)).toEqual([]);
    expect(statuses).toContain(202);
    const told = tries.filter(({ status, headers }) => status === 202 || headers.has('retry-after'));
    expect(told).toHaveLength(tries.length);
    expect(await count()).toBe(before + 1);
  });

  test('whose gateway was killed is taken over when that is known, and finds what was made', async () => {
    const made = (await (await start('e')).json()) as { id: string };
    const before = await count();
    const killed = (aliveAt: Date) => (now: KeyedRequest) =>
      KeyedRequest.create({ ...now, answer: null, holder: 'a killed gateway', aliveAt: timestamp(aliveAt) });
    await requests.update(entry('e'), killed(new Date()));
    const waits = await start('e');
    expect([waits.status, waits.headers.has('retry-after')]).toEqual([409, true]);
    await requests.update(entry('e'), killed(new Date(Date.now() - SILENT_MS)));
    const again = await start('e');
    expect([again.status, ((await again.json()) as { id: string }).id]).toEqual([202, made.id]);
    expect(await count()).toBe(before);
    expect((await start('e')).headers.get('idempotent-replayed')).toBe('true');
  });

  test('of a run whose work could not be queued has it queued by the next try', async () => {
    const before = await count();
    jest.spyOn(gateway.mesh.js, 'publish').mockRejectedValueOnce(new NatsError('gone', ErrorCode.Disconnect));
    expect((await start('j')).status).toBe(503);
    const again = await start('j');
    expect(again.status).toBe(202);
    const { id, ...told } = (await again.json()) as { id: string; status: string; error: string };
    expect(told).toMatchObject({ status: 'queued', error: null, finished_at: null });
    expect((await runs.get(id))!.value.state).toBe(RunState.RUN_STATE_QUEUED);
    expect(await count()).toBe(before + 1);
  });

  test('is left alone by a try that hung while another took its request over', async () => {
    let now = Date.now();
    const keyed = new KeyedRequests(requests, () => now);
    const claim = async () => {
      const claimed = await keyed.claim('taken-over', 'of a request');
      if (claimed.is !== 'ours') throw new Error(claimed.is);
      return claimed.holder;
    };
    const hung = await claim();
    now += SILENT_MS;
    const holder = await claim();
    await expect(keyed.refused('taken-over', hung)).rejects.toThrow('another try has taken the request over');
    await keyed.putDown('taken-over', hung);
    expect(await keyed.claim('taken-over', 'of a request')).toEqual({ is: 'in flight' });
    await keyed.answered('taken-over', holder, { status: 202 }, '');
    await expect(keyed.refused('taken-over', holder)).rejects.toThrow('another try');
    expect(await keyed.claim('taken-over', 'of a request')).toMatchObject({ is: 'answered' });
  });

  test("is its token's, however the header is written", () => {
    const of = (authorization: string) => entryOf({ headers: { authorization } }, 'a');
    expect(of('bearer   secret')).toBe(of('Bearer secret'));
    expect(of('Bearer secret')).not.toBe(of('Bearer another'));
  });

  test('keeps a drawing that takes too long from being called off; without one it is', async () => {
    const generations = new StateStore(gateway.mesh, buckets.state.generations, Generation);
    const draw = async (headers: Record<string, string>) => {
      const response = await postJson(
        `${otherUrl}/v1/images/generations`,
        { prompt: 'a heron', size: '64x64' },
        headers,
      );
      const { error } = (await response.json()) as { error: { message: string } };
      const drawing = (await generations.get(response.headers.get('x-atelier-generation')!))!.value;
      return [response.status, error.message.includes('goes on: its key finds it'), drawing.cancelRequested];
    };
    expect(await draw({ 'idempotency-key': 'k' })).toEqual([504, true, false]);
    expect(await draw({})).toEqual([504, false, true]);
  });

  const upload = (key: string, file: string, name = 'a.png') =>
    fetch(`${gateway.url}/v1/datasets`, {
      method: 'POST',
      headers: { 'idempotency-key': key },
      body: form({ name: 'uploaded', trigger: 'x' }, { [name]: file }),
    });

  test('of a form is compared by its parts, not by its boundary', async () => {
    const before = (await datasets.keys()).length;
    const first = await (await upload('f', 'a picture')).text();
    const again = await upload('f', 'a picture');
    expect([again.status, again.headers.get('idempotent-replayed'), await again.text()]).toEqual([202, 'true', first]);
    for (const [file, name] of [
      ['a pictura', 'a.png'],
      ['a picture', 'b.png'],
      ['', 'a.png'],
    ])
      expect((await upload('f', file!, name)).status).toBe(422);
    expect((await datasets.keys()).length).toBe(before + 1);
  });

  test('of a form whose gateway was killed before it answered makes the same data set', async () => {
    const { id } = (await (await upload('g', 'a picture')).json()) as { id: string };
    const before = (await datasets.keys()).length;
    await requests.update(entry('g'), (now) => KeyedRequest.create({ ...now, answer: null, holder: '' }));
    expect((await (await upload('g', 'a picture')).json()) as object).toMatchObject({ id, files: 1 });
    expect((await datasets.keys()).length).toBe(before);
  });

  test('of an adapter: the same bytes are brought in once, others are another request', async () => {
    const put = (rank: number) =>
      fetch(`${gateway.url}/v1/adapters/ink`, {
        method: 'PUT',
        body: adapterBytes({ rank }) as BodyInit,
        headers: { 'content-type': 'application/octet-stream', 'idempotency-key': 'h' },
      });
    const first = await put(2);
    const text = await first.text();
    expect(first.status).toBe(201);
    const again = await put(2);
    expect([again.status, await again.text()]).toEqual([201, text]);
    expect((await put(4)).status).toBe(422);
    await requests.update(entry('h'), (now) => KeyedRequest.create({ ...now, answer: null, holder: '' }));
    expect([(await put(2)).status, (await put(2)).status]).toEqual([201, 201]);
  });

  test('of pictures in base64, which are not kept: they are read again, or said to be deleted', async () => {
    const services = playServices(gateway.mesh);
    const draw = () =>
      postJson(
        `${gateway.url}/v1/images/generations`,
        { prompt: 'a heron', size: '64x64', response_format: 'b64_json' },
        { 'idempotency-key': 'i' },
      );
    const first = await draw();
    const text = await first.text();
    await requests.update(entry('i'), (now) =>
      KeyedRequest.create({ ...now, answer: { ...now.answer, body: '', tooLarge: true } }),
    );
    const again = await draw();
    expect([again.status, again.headers.get('idempotent-replayed'), await again.text()]).toEqual([200, 'true', text]);
    const { id } = JSON.parse(text) as { id: string };
    await new StateStore(gateway.mesh, buckets.state.generations, Generation).delete(id);
    expect((await draw()).status).toBe(404);
    await services.stop();
  });

  test('is 1 to 255 characters without blanks', () => {
    const read = (key: string) => idempotencyKey({ headers: { 'idempotency-key': key } });
    expect([read('a'), read('"a"'), read('x'.repeat(255))]).toEqual(['a', 'a', 'x'.repeat(255)]);
    for (const bad of ['', '""', 'a b', 'ä', 'x'.repeat(256)]) expect(() => read(bad)).toThrow(/1 to 255/);
    expect(idempotencyKey({ headers: {} })).toBeUndefined();
  });
});
