import { buckets, Run, RunState } from '@atelier/contracts';
import { BlobStore, StateStore } from '@atelier/store';
import { adapterBytes } from './adapter-bytes';
import { playServices } from './fake-services';
import { form, postJson, startGateway, type TestGateway } from './harness';

interface Listed {
  data: { id: string; name: string; status: string; url: string }[];
}

describe('deleting and renaming', () => {
  let gateway: TestGateway;
  let services: { stop(): Promise<void> };
  beforeAll(async () => {
    gateway = await startGateway();
    services = playServices(gateway.mesh);
  });
  afterAll(async () => {
    await services?.stop();
    await gateway?.stop();
  });

  const remove = async (path: string): Promise<{ status: number; body: Record<string, unknown> }> => {
    const response = await fetch(`${gateway.url}${path}`, { method: 'DELETE' });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };
  const rename = (path: string, name: string): Promise<Response> =>
    fetch(`${gateway.url}${path}`, {
      method: 'PATCH',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name }),
    });
  const list = async (path: string): Promise<Listed['data']> =>
    ((await (await fetch(`${gateway.url}${path}`)).json()) as Listed).data;
  const bringIn = (name: string): Promise<Response> =>
    fetch(`${gateway.url}/v1/adapters/${name}`, { method: 'PUT', body: adapterBytes() as never });
  const upload = async (name: string): Promise<string> => {
    const response = await fetch(`${gateway.url}/v1/datasets`, {
      method: 'POST',
      body: form({ name }, { 'a.png': 'pixels' }),
    });
    const { id } = (await response.json()) as { id: string };
    for (let tries = 0; tries < 200; tries++) {
      if ((await list('/v1/datasets')).find((each) => each.id === id)?.status === 'ingested') return id;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    throw new Error('it was not read');
  };

  test('a data set: renamed, refused while a run uses it, then gone with its files; and once more', async () => {
    const id = await upload('herons');
    expect((await rename(`/v1/datasets/${id}`, 'Not a name')).status).toBe(400);
    expect(await (await rename('/v1/datasets/herons', 'waders')).json()).toMatchObject({ id, name: 'waders' });
    const runs = new StateStore(gateway.mesh, buckets.state.runs, Run);
    await runs.create(
      'run-x',
      Run.create({ id: 'run-x', name: 'x', datasetId: id, state: RunState.RUN_STATE_TRAINING }),
    );
    expect(await remove(`/v1/datasets/${id}`)).toMatchObject({
      status: 409,
      body: {
        error: {
          message: expect.stringContaining('run run-x (training) uses data set waders'),
          details: { run: 'run-x' },
        },
      },
    });
    expect((await remove('/v1/finetunes/run-x')).status).toBe(409);
    await runs.update('run-x', (run) => Run.create({ ...run, state: RunState.RUN_STATE_FAILED }));
    expect(await remove('/v1/finetunes/run-x')).toMatchObject({ status: 200, body: { id: 'run-x', deleted: true } });
    expect(await remove('/v1/datasets/waders')).toEqual({
      status: 200,
      body: { id, object: 'dataset', deleted: true },
    });
    expect(await remove('/v1/datasets/waders')).toMatchObject({ status: 200, body: { deleted: false } });
    expect(await new BlobStore(gateway.mesh).names(buckets.blobs.pictures)).toEqual([]);
  });

  test('a name that two data sets have deletes neither of them', async () => {
    const ids = [await upload('twins'), await upload('twins')].sort();
    const { status, body } = await remove('/v1/datasets/twins');
    expect(status).toBe(409);
    expect((body as { error: { message: string } }).error.message).toBe(
      `2 data sets are named twins: delete by id (${ids.join(', ')})`,
    );
    for (const id of ids) expect((await remove(`/v1/datasets/${id}`)).body).toMatchObject({ id, deleted: true });
  });

  test('an adapter: renamed to a name that is free, and gone', async () => {
    expect([(await bringIn('ink')).status, (await bringIn('pen')).status]).toEqual([201, 201]);
    expect((await rename('/v1/adapters/ink', 'pen')).status).toBe(409);
    expect((await rename('/v1/adapters/pencil', 'brush')).status).toBe(404);
    expect(await (await rename('/v1/adapters/ink', 'brush')).json()).toMatchObject({ name: 'brush' });
    expect((await fetch(`${gateway.url}/v1/adapters/brush`)).status).toBe(200);
    expect((await list('/v1/adapters')).map(({ name }) => name).sort()).toEqual(['brush', 'pen']);
    for (const deleted of [true, false])
      expect((await remove('/v1/adapters/brush')).body).toEqual({ id: 'brush', object: 'adapter', deleted });
    expect((await fetch(`${gateway.url}/v1/adapters/brush`)).status).toBe(404);
  });

  test('a drawing is listed, loses a picture, and goes', async () => {
    const request = { prompt: 'a heron', n: 2, response_format: 'url' };
    const { id } = (await (await postJson(`${gateway.url}/v1/images/generations`, request)).json()) as { id: string };
    expect((await list('/v1/images/generations')).map((drawing) => drawing.id)).toEqual([id]);
    expect((await remove(`/v1/pictures/${id}/0.png`)).body).toMatchObject({ object: 'picture', deleted: true });
    expect((await fetch(`${gateway.url}/v1/pictures/${id}/0.png`)).status).toBe(404);
    const drawing = (await (await fetch(`${gateway.url}/v1/images/generations/${id}`)).json()) as Listed;
    expect(drawing.data.map(({ url }) => url)).toEqual([`${gateway.url}/v1/pictures/${id}/1.png`]);
    const cancelled = await fetch(`${gateway.url}/v1/images/generations/${id}/cancel`, { method: 'POST' });
    expect([cancelled.status, await cancelled.json()]).toMatchObject([202, { status: 'finished' }]);
    expect((await remove(`/v1/images/generations/${id}`)).body).toMatchObject({ id, deleted: true });
    expect((await fetch(`${gateway.url}/v1/pictures/${id}/1.png`)).status).toBe(404);
    expect((await remove(`/v1/images/generations/${id}`)).body).toMatchObject({ id, deleted: false });
  });

  test.each([
    ['datasets', 'dataset-0k3v9x2m1abcdefgh', '/v1/datasets/dataset-0k3v9x2m1abcdefgh'],
    ['runs', 'run-0k3v9x2m1abcdefgh', '/v1/finetunes/run-0k3v9x2m1abcdefgh'],
    ['adapters', 'junk', '/v1/adapters/junk'],
    ['generations', 'gen-0k3v9x2m1abcdefgh', '/v1/images/generations/gen-0k3v9x2m1abcdefgh'],
    ['generations', 'gen-0k3v9x2m1abcdefgi', '/v1/pictures/gen-0k3v9x2m1abcdefgi/0.png'],
    ['webhooks', 'webhook-0k3v9x2m1abcdefgh', '/v1/webhooks/webhook-0k3v9x2m1abcdefgh'],
  ])('of %s an entry that cannot be read, %s, is no reason that %s stays', async (bucket, key, path) => {
    const kv = await gateway.mesh.js.views.kv(bucket);
    await kv.put(key, Buffer.from([0xff, 0xff, 0xff]));
    const picture = path.startsWith('/v1/pictures');
    if (picture) await new BlobStore(gateway.mesh).put('samples', `${key}/0.png`, Buffer.from('pixels'));
    expect(await remove(path)).toMatchObject({ status: 200, body: { deleted: true } });
    expect(await remove(path)).toMatchObject({ status: 200, body: { deleted: false } });
    expect((await kv.get(key)) === null).toBe(!picture);
  });
});
