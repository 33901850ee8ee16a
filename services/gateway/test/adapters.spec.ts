import { parseTensorFile } from '@atelier/checkpoint';
import { AdapterInfo, buckets } from '@atelier/contracts';
import { Adapter } from '@atelier/engine';
import { BlobStore, StateStore } from '@atelier/store';
import { adapterBytes } from './adapter-bytes';
import { startGateway, type TestGateway } from './harness';

interface View {
  name: string;
  rank: number;
  alpha: number;
  bytes: number;
}
type Refusal = { error: { message: string; code: string } };

describe('adapters over HTTP', () => {
  let gateway: TestGateway;
  beforeAll(async () => {
    gateway = await startGateway();
  });
  afterAll(() => gateway?.stop());

  const put = (name: string, body: Uint8Array, query = '') =>
    fetch(`${gateway.url}/v1/adapters/${name}${query}`, {
      method: 'PUT',
      body: body as BodyInit,
      headers: { 'content-type': 'application/octet-stream' },
    });
  const download = async (name: string, query = '') =>
    Buffer.from(await (await fetch(`${gateway.url}/v1/adapters/${name}${query}`)).arrayBuffer());
  const listed = async (name: string): Promise<View | undefined> => {
    const { data } = (await (await fetch(`${gateway.url}/v1/adapters`)).json()) as { data: View[] };
    return data.find((adapter) => adapter.name === name);
  };
  const blobCount = async () => (await new BlobStore(gateway.mesh).list(buckets.blobs.adapters)).length;

  test('two at once under one name: one is accepted, and its bytes are what the name stands for', async () => {
    for (let round = 0; round < 30; round++) {
      const name = `race-${round}`;
      const before = await blobCount();
      const files = [adapterBytes({ rank: 2 }), adapterBytes({ rank: 4 })] as const;
      const answers = await Promise.all(files.map((file) => put(name, file)));
      expect(answers.map(({ status }) => status).sort()).toEqual([201, 409]);
      const winner = answers.findIndex(({ status }) => status === 201);
      const accepted = Buffer.from(files[winner]!);
      const view = (await answers[winner]!.json()) as View;
      expect(view).toMatchObject({ name, rank: [2, 4][winner], bytes: accepted.byteLength });
      expect(await listed(name)).toEqual(view);
      expect((await download(name)).equals(accepted)).toBe(true);
      expect(await blobCount()).toBe(before + 1);
    }
  });

  test('two at once that may replace: the name always stands for one whole file', async () => {
    await put('style', adapterBytes({ rank: 1 }));
    for (let round = 0; round < 15; round++) {
      const files = [2, 4].map((rank) => adapterBytes({ rank, metadata: { round: `${round}` } }));
      const answers = await Promise.all(files.map((file) => put('style', file, '?replace=true')));
      expect(answers.map(({ status }) => status)).toEqual([201, 201]);
      const view = (await listed('style'))!;
      const bytes = await download('style');
      expect(bytes.byteLength).toBe(view.bytes);
      expect(bytes.equals(Buffer.from(files[[2, 4].indexOf(view.rank)]!))).toBe(true);
    }
  });

  test('one that version 0.1.0 wrote is read, replaced and gone', async () => {
    const old = adapterBytes({ rank: 2 });
    const blobs = new BlobStore(gateway.mesh);
    await blobs.put(buckets.blobs.adapters, 'old.safetensors', old);
    const entry = AdapterInfo.create({ name: 'old', blob: 'old.safetensors', size: old.byteLength, rank: 2, alpha: 2 });
    await new StateStore(gateway.mesh, buckets.state.adapters, AdapterInfo).create('old', entry);
    expect((await download('old')).equals(Buffer.from(old))).toBe(true);
    expect((await put('old', adapterBytes({ rank: 4 }))).status).toBe(409);
    const next = adapterBytes({ rank: 4 });
    expect((await put('old', next, '?replace=true')).status).toBe(201);
    expect(await listed('old')).toMatchObject({ rank: 4, bytes: next.byteLength });
    expect((await download('old')).equals(Buffer.from(next))).toBe(true);
  });

  test('a file that the engine could not read is refused when it comes, not when it is asked for', async () => {
    const bytes = Buffer.from(adapterBytes({ metadata: { note: 'a word' } }));
    bytes[bytes.indexOf('word')] = 0xff;
    const answer = await put('foreign', bytes);
    expect([answer.status, ((await answer.json()) as Refusal).error.message]).toEqual([
      400,
      expect.stringMatching(/^adapter file foreign cannot be used: .*header is not UTF-8/),
    ]);
    expect((await fetch(`${gateway.url}/v1/adapters/foreign?format=kohya`)).status).toBe(404);
  });

  describe("in kohya's keys", () => {
    const asked = (name: string) => fetch(`${gateway.url}/v1/adapters/${name}?format=kohya`);
    const refusal = async (answer: Response) => ((await answer.json()) as Refusal).error.message;

    // First of all: an addon that was found once stays loaded.
    test('is refused where there is no engine, with what can be done', async () => {
      await put('mine', adapterBytes());
      process.env['ATELIER_ADDON_PATH'] = '/nowhere/atelier.node';
      const answer = await asked('mine');
      delete process.env['ATELIER_ADDON_PATH'];
      expect([answer.status, await refusal(answer)]).toEqual([
        501,
        expect.stringMatching(/no engine to convert with .*format=diffusers/s),
      ]);
    });

    test('is read and written by the engine, which keeps nothing of it', async () => {
      const disposed = jest.spyOn(Adapter.prototype, 'dispose');
      const { tensors } = parseTensorFile(Buffer.from(await (await asked('mine')).arrayBuffer()));
      expect([...tensors.keys()].every((key) => key.startsWith('lora_unet_'))).toBe(true);
      expect(disposed).toHaveBeenCalledTimes(1);
      disposed.mockRestore();
    });

    test('is refused for what the engine does not take, with the reason', async () => {
      const settings = JSON.stringify({ 'transformer.use_dora': true });
      expect((await put('settings', adapterBytes({ metadata: { lora_adapter_metadata: settings } }))).status).toBe(201);
      const answer = await asked('settings');
      expect([answer.status, await refusal(answer)]).toEqual([
        409,
        expect.stringMatching(/^adapter settings cannot be written with kohya's keys: its file: .*DoRA/),
      ]);
    });
  });
});
