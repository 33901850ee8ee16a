import { calls, StoreReply, streams } from '@atelier/contracts';
import { TensorStore } from '@atelier/store';
import { startServiceProcess } from '@atelier/testing';
import { adapterBytes } from './adapter-bytes';
import { form, postJson, startGateway, type TestGateway } from './harness';

const MiB = 1024 ** 2;
const LIMIT = 64 * MiB;

interface Refusal {
  error: { message: string; code: string; details?: Record<string, string> };
}

/** A gateway over a nats-server that keeps 64 MiB. */
async function start(): Promise<TestGateway> {
  return startGateway({}, { maxFileStore: LIMIT });
}

/**
 * Tensor sets of 1 MiB each, by which the store is filled; purging their stream is room again in every version of
 * nats-server.
 */
async function fill({ mesh }: TestGateway, count: number): Promise<void> {
  const tensors = new TensorStore(mesh);
  for (let i = 0; i < count; i++) await tensors.put('latents', `${i}`, Buffer.alloc(MiB, i));
}

const upload = ({ url }: TestGateway, name: string, bytes: number): Promise<Response> =>
  fetch(`${url}/v1/datasets`, { method: 'POST', body: form({ name }, { 'a.png': Buffer.alloc(bytes, 1) }) });

describe('a store that is filling up, whose keeper tells its limit', () => {
  let gateway: TestGateway;
  beforeAll(async () => {
    gateway = await start();
    const reply = StoreReply.encode({
      path: '/data/nats',
      freeBytes: 1e12,
      limitBytes: LIMIT,
      reserveBytes: 8 * MiB,
    }).finish();
    gateway.mesh.nc.subscribe(calls.room.subject, {
      callback: (_error, message) => void message.respond(reply),
    });
  });
  afterAll(() => gateway?.stop());

  test('refuses what is new with 507 and the numbers, goes on reading, and takes uploads again when there is room', async () => {
    expect((await upload(gateway, 'before', MiB)).status).toBe(202);
    expect(await (await fetch(`${gateway.url}/healthz`)).json()).toMatchObject({
      status: 'ok',
      store: { state: 'ok' },
    });
    await fill(gateway, 56);

    const refused = await upload(gateway, 'too-much', MiB);
    expect(refused.status).toBe(507);
    const { error } = (await refused.json()) as Refusal;
    expect(error.code).toBe('insufficient_storage');
    expect(error.message).toMatch(
      /^the store is full: [67]\.\d MiB of 64\.0 MiB may still be written to \/data\/nats, and 8\.0 MiB are kept.* 1\.0 MiB are needed\. Free space on its disk, or delete/,
    );
    expect(error.details).toMatchObject({
      limit_bytes: String(LIMIT),
      reserve_bytes: String(8 * MiB),
      path: '/data/nats',
      needed_bytes: expect.stringMatching(/^10\d{5}$/),
    });

    const others = [
      fetch(`${gateway.url}/v1/adapters/some`, {
        method: 'PUT',
        headers: { 'content-type': 'application/octet-stream' },
        body: adapterBytes() as never,
      }),
      postJson(`${gateway.url}/v1/finetunes`, { dataset: 'before' }),
      postJson(`${gateway.url}/v1/images/generations`, { prompt: 'a heron' }),
    ];
    expect((await Promise.all(others)).map(({ status }) => status)).toEqual([507, 507, 507]);

    const { data } = (await (await fetch(`${gateway.url}/v1/datasets`)).json()) as { data: { name: string }[] };
    expect(data.map(({ name }) => name)).toEqual(['before']);
    const health = await fetch(`${gateway.url}/healthz`);
    expect(health.status).toBe(200);
    expect(await health.json()).toMatchObject({ status: 'ok', store: { state: 'full', reserve_bytes: 8 * MiB } });

    await gateway.mesh.jsm.streams.purge(streams.TENSORS);
    expect((await upload(gateway, 'after', MiB)).status).toBe(202);
    expect((await postJson(`${gateway.url}/v1/finetunes`, { dataset: 'before' })).status).toBe(202);
  });
});

describe('a store of which nobody tells anything', () => {
  let gateway: TestGateway;
  beforeAll(async () => (gateway = await start()));
  afterAll(() => gateway?.stop());

  test("nats-server's own refusal is 507 as well", async () => {
    await fill(gateway, 60);
    await new TensorStore(gateway.mesh).put('latents', 'last', Buffer.alloc(4 * MiB));
    const refused = await postJson(`${gateway.url}/v1/images/generations`, { prompt: 'a heron' });
    expect(refused.status).toBe(507);
    expect(((await refused.json()) as Refusal).error.message).toMatch(
      /^the store is full: nats-server takes no more \(insufficient resources\)\. Free space/,
    );
    expect((await fetch(`${gateway.url}/v1/datasets`)).status).toBe(200);
    await gateway.mesh.jsm.streams.purge(streams.TENSORS);
  });

  test('a refusal in the middle of a slow upload does not end the gateway', async () => {
    await fill(gateway, 58);
    // A process of its own: what nobody handles there ends it, and in this one the test runner would catch it.
    const env = { ATELIER_NATS_URL: `nats://127.0.0.1:${gateway.mesh.nc.info!.port}`, ATELIER_HTTP_PORT: '0' };
    const process = await startServiceProcess('gateway', env);
    try {
      const url = /"url":"([^"]+)"/.exec(process.log())![1]!;
      const part = (name: string, more = '') =>
        Buffer.from(`--b\r\ncontent-disposition: form-data; name="${name}"${more}\r\n\r\n`);
      async function* slow(): AsyncGenerator<Buffer> {
        yield Buffer.concat([part('name'), Buffer.from('slow\r\n'), part('files', '; filename="a.png"')]);
        for (let i = 0; i < 14; i++, await new Promise((resolve) => setTimeout(resolve, 50))) yield Buffer.alloc(MiB);
        yield Buffer.from('\r\n--b--\r\n');
      }
      const init = {
        method: 'POST',
        headers: { 'content-type': 'multipart/form-data; boundary=b' },
        body: slow(),
        duplex: 'half',
      };
      expect((await fetch(`${url}/v1/datasets`, init as unknown as RequestInit)).status).toBe(507);
      expect((await fetch(`${url}/healthz`)).status).toBe(200);
    } finally {
      expect(await process.stop()).toBe(0);
    }
  });

  test('a nats-server that is stopped: /healthz says so without waiting for it', async () => {
    gateway.signalNats('SIGSTOP');
    try {
      const asked = Date.now();
      const health = await fetch(`${gateway.url}/healthz`);
      expect(Date.now() - asked).toBeLessThan(10_000);
      expect(health.status).toBe(503);
      expect(await health.json()).toMatchObject({
        status: 'unavailable',
        nats: 'disconnected',
        reason: expect.stringContaining('no answer in 1500 ms'),
      });
    } finally {
      gateway.signalNats('SIGCONT');
    }
  });
});
