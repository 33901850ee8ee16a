import { mkdirSync, readFileSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { COMPONENT_NAMES, openCheckpoint, openWholeCheckpoint } from '../src';
import { copyOfModel, editJson, MODEL, scratchFolder } from './fixtures';

const scratch = scratchFolder();

describe('a checkpoint', () => {
  it('opens with what its config files say', async () => {
    const checkpoint = await openCheckpoint(MODEL);
    const transformer = JSON.parse(readFileSync(join(MODEL, 'transformer/config.json'), 'utf8')) as Record<
      string,
      unknown
    >;
    expect(checkpoint.fluxConfig).toMatchObject({
      numLayers: transformer.num_layers,
      heads: transformer.num_attention_heads,
      guidance: true,
    });
    expect(checkpoint.scheduler).toMatchObject({ dynamicShifting: true, shift: 3, numTrainTimesteps: 1000 });
    expect(checkpoint.vaeConfig).toEqual({
      latentChannels: 16,
      scalingFactor: 0.3611,
      shiftFactor: 0.1159,
      downscale: 8,
    });
    expect(checkpoint.t5MaxLength).toBe(512);
    expect(checkpoint.component('vae')).toBe(join(MODEL, 'vae'));
  });

  it('opens with sharded weights', async () => {
    const model = copyOfModel(scratch);
    const dir = join(model, 'transformer');
    renameSync(join(dir, 'diffusion_pytorch_model.safetensors'), join(dir, 'part-1.safetensors'));
    writeFileSync(
      join(dir, 'diffusion_pytorch_model.safetensors.index.json'),
      JSON.stringify({ weight_map: { a: 'part-1.safetensors' } }),
    );
    await expect(openCheckpoint(model)).resolves.toBeDefined();
  });

  const shards = (map: unknown) => (model: string) => {
    const dir = join(model, 'transformer');
    rmSync(join(dir, 'diffusion_pytorch_model.safetensors'));
    writeFileSync(join(dir, 'diffusion_pytorch_model.safetensors.index.json'), JSON.stringify({ weight_map: map }));
  };
  it.each<[string, (model: string) => unknown, string, RegExp]>([
    ['no index', (m) => rmSync(join(m, 'model_index.json')), 'NOT_FOUND', /model_index\.json: does not exist/],
    [
      'a broken index',
      (m) => writeFileSync(join(m, 'model_index.json'), '{"a":'),
      'DATA_LOSS',
      /model_index\.json: not valid JSON/,
    ],
    [
      'another pipeline',
      (m) => editJson(join(m, 'model_index.json'), (j) => (j._class_name = 'StableDiffusionPipeline')),
      'UNIMPLEMENTED',
      /StableDiffusionPipeline/,
    ],
    [
      'another text encoder',
      (m) => editJson(join(m, 'model_index.json'), (j) => (j.text_encoder[1] = 'BertModel')),
      'FAILED_PRECONDITION',
      /text_encoder is .*BertModel/,
    ],
    [
      'a component left out',
      (m) => editJson(join(m, 'model_index.json'), (j) => (j.text_encoder_2 = [null, null])),
      'FAILED_PRECONDITION',
      /text_encoder_2/,
    ],
    [
      'no weights',
      (m) => rmSync(join(m, 'vae/diffusion_pytorch_model.safetensors')),
      'NOT_FOUND',
      /vae: holds neither/,
    ],
    [
      'weights that are a folder',
      (m) => {
        rmSync(join(m, 'vae/diffusion_pytorch_model.safetensors'));
        mkdirSync(join(m, 'vae/diffusion_pytorch_model.safetensors'));
      },
      'NOT_FOUND',
      /vae: holds neither/,
    ],
    ['a shard missing', shards({ a: 'part-1.safetensors' }), 'NOT_FOUND', /part-1\.safetensors: does not exist/],
    ['a shard outside the folder', shards({ a: '../../secret.safetensors' }), 'DATA_LOSS', /weight_map does not map/],
    ['no shards', shards({}), 'DATA_LOSS', /weight_map is empty/],
    [
      'no tokenizer files',
      (m) => rmSync(join(m, 'tokenizer/merges.txt')),
      'NOT_FOUND',
      /tokenizer needs tokenizer\.json, or vocab\.json \+ merges\.txt/,
    ],
    [
      'an unknown sigma schedule',
      (m) => editJson(join(m, 'scheduler/scheduler_config.json'), (j) => (j.use_karras_sigmas = true)),
      'UNIMPLEMENTED',
      /use_karras_sigmas is true/,
    ],
    [
      'a wrong type in a config',
      (m) => editJson(join(m, 'scheduler/scheduler_config.json'), (j) => (j.shift = '3')),
      'DATA_LOSS',
      /scheduler_config\.json: shift is "3", expected a number/,
    ],
    [
      'T5 of another width',
      (m) => editJson(join(m, 'text_encoder_2/config.json'), (j) => (j.d_model = 96)),
      'FAILED_PRECONDITION',
      /d_model is 96, but the transformer takes prompt embeds of 64/,
    ],
    [
      'CLIP of another width',
      (m) => editJson(join(m, 'text_encoder/config.json'), (j) => (j.hidden_size = 48)),
      'FAILED_PRECONDITION',
      /hidden_size is 48/,
    ],
    [
      'a VAE of another depth',
      (m) => editJson(join(m, 'vae/config.json'), (j) => (j.latent_channels = 4)),
      'FAILED_PRECONDITION',
      /latent_channels/,
    ],
  ])('with %s is refused', async (_, damage, code, message) => {
    const model = copyOfModel(scratch);
    damage(model);
    await expect(openCheckpoint(model)).rejects.toMatchObject({
      name: 'CheckpointError',
      code,
      message: expect.stringMatching(message),
    });
  });

  it.each(COMPONENT_NAMES)('without its folder %s is refused by name', async (name) => {
    const model = copyOfModel(scratch);
    rmSync(join(model, name), { recursive: true });
    await expect(openCheckpoint(model)).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining(join(model, name)),
    });
  });
});

describe('fingerprints', () => {
  it('are equal for equal files, wherever they lie', async () => {
    const [a, b] = [await openCheckpoint(MODEL), await openCheckpoint(copyOfModel(scratch))];
    expect(await a.fingerprints(join(scratch, 'a.json'))).toEqual(await b.fingerprints(join(scratch, 'b.json')));
  });

  it('change with one byte of a weight or a config, for that component alone', async () => {
    const model = copyOfModel(scratch);
    const checkpoint = await openCheckpoint(model);
    const cache = join(scratch, 'c.json');
    const before = await checkpoint.fingerprints(cache);
    const weights = join(model, 'vae/diffusion_pytorch_model.safetensors');
    const bytes = readFileSync(weights);
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(weights, bytes);
    const after = await checkpoint.fingerprints(cache);
    expect(after).toEqual({ ...before, vae: expect.not.stringContaining(before.vae) });
    editJson(join(model, 'vae/config.json'), (json) => (json.scaling_factor = 0.5));
    expect((await checkpoint.fingerprints(cache)).vae).not.toBe(after.vae);
  });

  it('come from the cache while the files are the same, and survive a broken cache', async () => {
    const model = copyOfModel(scratch);
    const cache = join(scratch, 'd.json');
    const checkpoint = await openCheckpoint(model);
    const truth = await checkpoint.fingerprints(cache);
    // Proof that the cache is asked: other hashes in it come back, until the file's time changes.
    writeFileSync(cache, readFileSync(cache, 'utf8').replace(/"sha256": "./g, '"sha256": "x'));
    expect((await checkpoint.fingerprints(cache)).vae).not.toBe(truth.vae);
    for (const file of ['vae/config.json', 'vae/diffusion_pytorch_model.safetensors'])
      utimesSync(join(model, file), new Date(), new Date());
    expect((await checkpoint.fingerprints(cache)).vae).toBe(truth.vae);
    writeFileSync(cache, 'not JSON');
    expect(await checkpoint.fingerprints(cache)).toEqual(truth);
  });
});

describe('a checkpoint to work with', () => {
  it('is one whose weight files are as long as their headers say', async () => {
    await expect(openWholeCheckpoint(MODEL)).resolves.toBeDefined();
  });

  const VAE = 'vae/diffusion_pytorch_model.safetensors';
  const text = (header: string): Buffer => {
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(Buffer.byteLength(header)));
    return Buffer.concat([length, Buffer.from(header)]);
  };
  it.each<[string, (whole: Buffer) => Buffer, RegExp]>([
    [
      'cut short',
      (whole) => whole.subarray(0, -1),
      /has \d+ bytes where its header says \d+; download the file again$/,
    ],
    ['longer than it should be', (whole) => Buffer.concat([whole, Buffer.alloc(4)]), /has \d+ bytes where/],
    ['cut within its header', (whole) => whole.subarray(0, 20), /claims a header of \d+ bytes in a file of 20/],
    ['empty', () => Buffer.alloc(0), /has 0 bytes, and no header/],
    ['of another kind', () => text('<html>'), /its header is not JSON/],
    ['without its tensors', () => text('{"a":null}'), /does not say where its tensors end/],
  ])('is none with weights that are %s', async (_what, damage, says) => {
    const model = copyOfModel(scratch);
    const file = join(model, VAE);
    writeFileSync(file, damage(readFileSync(file)));
    await expect(openWholeCheckpoint(model)).rejects.toThrow(says);
    await expect(openWholeCheckpoint(model)).rejects.toThrow(file);
  });
});
