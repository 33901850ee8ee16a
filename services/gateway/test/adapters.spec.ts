import { decodeTensors, encodeTensors, parseTensorFile } from '@atelier/checkpoint';
import { AdapterInfo, buckets } from '@atelier/contracts';
import { Adapter, describeAdapter } from '@atelier/engine';
import { AdapterStore, BlobStore, StateStore } from '@atelier/store';
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

  // First of all: an addon that was found once stays loaded.
  test('where there is no engine, nothing is brought in or written in other keys, and what can be done is said', async () => {
    await new AdapterStore(gateway.mesh).put({ name: 'mine', rank: 2, alpha: 2 }, adapterBytes());
    process.env['ATELIER_ADDON_PATH'] = '/nowhere/atelier.node';
    const asked = await fetch(`${gateway.url}/v1/adapters/mine?format=kohya`);
    const brought = await put('foreign', adapterBytes());
    delete process.env['ATELIER_ADDON_PATH'];
    expect([asked.status, ((await asked.json()) as Refusal).error.message]).toEqual([
      501,
      expect.stringMatching(/no engine to convert with .*format=diffusers/s),
    ]);
    expect([brought.status, ((await brought.json()) as Refusal).error.message]).toEqual([
      501,
      expect.stringMatching(/no engine here to judge adapter foreign with .*build the native library/s),
    ]);
  });

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

  test('what cannot be drawn with is refused when it comes, as what it is', async () => {
    const lora = (module: string) => ({
      [`${module}.lora_down.weight`]: { shape: [2, 8], data: new Float32Array(16).fill(1) },
      [`${module}.lora_up.weight`]: { shape: [8, 2], data: new Float32Array(16).fill(1) },
    });
    const qkv = 'lora_unet_double_blocks_0_img_attn_proj';
    const magnitude = { [`${qkv}.dora_scale`]: { shape: [8], data: new Float32Array(8).fill(1) } };
    const refused: [Uint8Array, RegExp][] = [
      [
        encodeTensors(lora('lora_unet_down_blocks_1_attentions_0_transformer_blocks_1_ff_net_2')),
        /Stable Diffusion XL/,
      ],
      [encodeTensors({ ...lora(qkv), ...magnitude }), /DoRA/],
      [encodeTensors(lora('lora_te1_text_model_encoder_layers_0_mlp_fc1')), /only parts for the text encoders/],
      [Buffer.from('PK\x03\x04 a pickle in a zip, as torch saves it'), /only safetensors is read/],
      [Buffer.from('GGUF and so on'), /GGUF/],
      [Buffer.from('version https://git-lfs.github.com/spec/v1'), /run git lfs pull/],
    ];
    for (const [bytes, reason] of refused) {
      const answer = await put('refused', bytes);
      expect([answer.status, ((await answer.json()) as Refusal).error.message]).toEqual([
        400,
        expect.stringMatching(new RegExp(`^adapter file refused cannot be used: .*${reason.source}`, 's')),
      ]);
    }
    expect(await listed('refused')).toBeUndefined();
  });

  test('what a file holds, and what of it is left out, is told', async () => {
    const up = { shape: [4, 1], data: new Float32Array(4).fill(1) };
    const bytes = encodeTensors(
      {
        ...decodeTensors(adapterBytes({ rank: 2 })),
        'lora_unet_double_blocks_0_img_attn_proj.lora_down.weight': { shape: [4, 16], data: new Float32Array(64) },
        'lora_unet_double_blocks_0_img_attn_proj.lora_up.weight': {
          shape: [16, 4],
          data: new Float32Array(64).fill(1),
        },
        'lora_unet_double_blocks_0_img_attn_proj.alpha': { shape: [], data: Float32Array.of(1) },
        'lora_te1_text_model_encoder_layers_0_mlp_fc1.lora_up.weight': up,
      },
      { ss_base_model_version: 'flux1', 'modelspec.trigger_phrase': 'inkwork', ss_epoch: '7' },
    );
    expect(await (await put('told', bytes)).json()).toMatchObject({
      rank: 2,
      alpha: 2,
      ranks: [
        { rank: 2, alpha: 2, modules: 1 },
        { rank: 4, alpha: 1, modules: 1 },
      ],
      modules: [{ blocks: 'transformer_blocks 0', names: ['attn.to_out.0', 'attn.to_q'] }],
      notes: ['its part for CLIP (1 tensor) is not applied: pictures are drawn without it'],
      base: 'flux1',
      trigger_words: ['inkwork'],
      training: { ss_epoch: '7', ss_base_model_version: 'flux1' },
    });
  });

  test("peft's settings come with the file, in either order, and stay with it", async () => {
    const config = JSON.stringify({ peft_type: 'LORA', r: 2, lora_alpha: 1 });
    const peft = Buffer.from(adapterBytes({ rank: 2 }));
    for (const settings of ['field', 'file'] as const) {
      const form = new FormData();
      if (settings === 'field') form.set('config', config);
      form.append('file', new Blob([peft]), 'adapter_model.safetensors');
      if (settings === 'file') form.append('file', new Blob([config]), 'adapter_config.json');
      const answer = await fetch(`${gateway.url}/v1/adapters/peft-${settings}`, { method: 'PUT', body: form });
      expect([answer.status, await answer.json()]).toEqual([201, expect.objectContaining({ rank: 2, alpha: 1 })]);
      const { contents } = await describeAdapter(await download(`peft-${settings}`), 'what was kept');
      expect(contents.ranks).toMatchObject([{ rank: 2, alpha: 1 }]);
    }
    const none = new FormData();
    none.append('file', new Blob([config]), 'adapter_config.json');
    expect((await fetch(`${gateway.url}/v1/adapters/none`, { method: 'PUT', body: none })).status).toBe(400);
  });

  test('none is named as the base is, by which it could not be asked for', async () => {
    const answer = await put('base', adapterBytes());
    expect([answer.status, ((await answer.json()) as Refusal).error.message]).toEqual([
      400,
      expect.stringMatching(/"base" means the checkpoint with no adapter.*choose another/),
    ]);
    await put('soon-base', adapterBytes());
    const renamed = await fetch(`${gateway.url}/v1/adapters/soon-base`, {
      method: 'PATCH',
      body: '{"name":"base"}',
      headers: { 'content-type': 'application/json' },
    });
    expect(renamed.status).toBe(400);
    await new AdapterStore(gateway.mesh).put({ name: 'base', rank: 2, alpha: 2 }, adapterBytes()); // as 0.1.0 let it
    const { data } = (await (await fetch(`${gateway.url}/v1/models`)).json()) as { data: { id: string }[] };
    expect(data.filter(({ id }) => id === 'base')).toHaveLength(1);
  });

  describe("in kohya's keys", () => {
    const asked = (name: string) => fetch(`${gateway.url}/v1/adapters/${name}?format=kohya`);
    const refusal = async (answer: Response) => ((await answer.json()) as Refusal).error.message;

    test('is read and written by the engine, which keeps nothing of it', async () => {
      const disposed = jest.spyOn(Adapter.prototype, 'dispose');
      const { tensors } = parseTensorFile(Buffer.from(await (await asked('mine')).arrayBuffer()));
      expect([...tensors.keys()].every((key) => key.startsWith('lora_unet_'))).toBe(true);
      expect(disposed).toHaveBeenCalledTimes(1);
      disposed.mockRestore();
    });

    test('is refused for what an earlier version took and the engine does not take, with the reason', async () => {
      const metadata = { lora_adapter_metadata: JSON.stringify({ 'transformer.use_dora': true }) };
      const facts = { name: 'settings', rank: 2, alpha: 2 };
      await new AdapterStore(gateway.mesh).put(facts, adapterBytes({ metadata }));
      const answer = await asked('settings');
      expect([answer.status, await refusal(answer)]).toEqual([
        409,
        expect.stringMatching(/^adapter settings cannot be written with kohya's keys: its file: .*DoRA/),
      ]);
    });
  });
});
