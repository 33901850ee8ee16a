// What people, and people who mean harm, hand to Atelier through its public surfaces, HTTP and the client. Each gets an error that names the
// input, the reason and the remedy; no service ends over it; and a good job afterwards is as good as ever.
import { cpSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { encodeTensors } from '@atelier/checkpoint';
import { tinyCheckpoint, waitFor } from '@atelier/testing';
import type { Dataset, Files, Finetune } from '../support/api';
import { Atelier, isAlive } from '../support/atelier';
import { pngOfSize, tampered, withHeaderLength, without, zipOf } from '../support/hostile-files';

const MIB = 2 ** 20;
const TOKEN = 'a-secret-token';
const SETTINGS = {
  ATELIER_API_TOKEN: TOKEN,
  ATELIER_UPLOAD_FILE_MIB: '16',
  ATELIER_UPLOAD_TOTAL_MIB: '24',
  ATELIER_INGEST_MAX_UNPACKED_MIB: '32',
  ATELIER_IDLE_SECONDS: '0', // models are opened anew for each request, as after a new checkpoint was put in place
};

let folder: string;
let model: string;
let atelier: Atelier;
let good: Files;
let jpeg: Buffer;
let lora: Buffer;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'hostile-'));
  model = join(folder, 'model');
  cpSync(tinyCheckpoint(), model, { recursive: true });
  const picture = (background: string): Promise<Buffer> =>
    sharp({ create: { width: 100, height: 80, channels: 3, background } })
      .png()
      .toBuffer();
  good = { 'good.png': await picture('tomato'), 'good.txt': 'a tomato square' };
  jpeg = await sharp({
    create: {
      width: 300,
      height: 200,
      channels: 3,
      background: 'grey',
      noise: { type: 'gaussian', mean: 128, sigma: 40 },
    },
  })
    .jpeg()
    .toBuffer();
  atelier = await Atelier.start({ ...SETTINGS, ATELIER_MODEL: model });
  await job('first');
  lora = await atelier.api.bytes('/v1/adapters/first');
});
afterAll(async () => {
  await atelier?.stop();
  rmSync(folder, { recursive: true, force: true });
});
/** The very processes of the beginning: none ended, none was started again. */
afterEach(() => {
  expect(atelier.restarts).toEqual([]);
  expect(Object.entries(atelier.pids).filter(([, pid]) => !isAlive(pid))).toEqual([]);
});

async function ingested(name: string, files: Files): Promise<Dataset> {
  const { id } = await atelier.api.upload({ name }, files);
  return waitFor(`data set ${name} to be read`, async () => {
    const dataset = await atelier.api.json<Dataset>(`/v1/datasets/${id}`);
    return dataset.status !== 'uploaded' && dataset;
  });
}

/** A job from a picture to a picture. */
async function job(name: string): Promise<void> {
  await ingested(name, good);
  const { id } = await atelier.api.finetune({ dataset: name, steps: 2, rank: 2, learning_rate: 1e-2 });
  expect((await atelier.api.followed(id)).at(-1)).toMatchObject({ type: 'finished', message: '' });
  const { data } = await atelier.api.draw({
    prompt: 'a tomato square',
    model: name,
    seed: 1,
    response_format: 'b64_json',
  });
  expect(await sharp(Buffer.from(data[0]!.b64_json!, 'base64')).metadata()).toMatchObject({
    format: 'png',
    width: 64,
    height: 64,
  });
}

describe('files of a data set cost themselves, by name and with the reason', () => {
  test.each<[string, () => Files, Record<string, RegExp>]>([
    [
      'a truncated JPEG',
      () => ({ 'cut.jpg': jpeg.subarray(0, jpeg.length / 2), 'cut.txt': 'x' }),
      {
        'cut.jpg':
          /^cannot be decoded as a picture: VipsJpeg: premature end.*\. Copy it again, or save it anew as JPEG or PNG$/,
      },
    ],
    [
      'a PNG of 50,000 × 50,000',
      () => ({ 'huge.png': pngOfSize(50_000, 50_000), 'huge.txt': 'x' }),
      { 'huge.png': /^has 50000 × 50000 pixels; 200 million are allowed: make it smaller$/ },
    ],
    [
      'a zip that climbs out',
      () => ({ 'climb.zip': zipOf({ '../../evil.jpg': jpeg }) }),
      {
        'climb.zip/../../evil.jpg':
          /^has a path that leaves its folder \("\.\."\): name files by their place within it$/,
      },
    ],
    [
      'a zip bomb',
      () => ({ 'bomb.zip': zipOf({ 'big.jpg': Buffer.alloc(33 * MIB) }) }),
      { 'bomb.zip': /^unpacks to more than the 32 MiB one dataset may hold: split it$/ },
    ],
    [
      'a zip cut short',
      () => ({ 'cut.zip': zipOf({ 'a.jpg': jpeg, 'a.txt': 'x' }).subarray(0, jpeg.length / 2) }),
      { 'cut.zip': /^is not a zip file that can be read: .*Pack it again, or copy it again if it was cut short$/ },
    ],
    [
      'an empty caption',
      () => ({ 'silent.jpg': jpeg, 'silent.txt': ' \n' }),
      { 'silent.jpg': /^has an empty caption: write one into a \.txt file beside it/ },
    ],
    [
      'a caption of 10 MB',
      () => ({ 'long.jpg': jpeg, 'long.txt': 'x'.repeat(10 * MIB) }),
      { 'long.jpg': /^its caption long\.txt is larger than 64 KiB .*: make it smaller$/ },
    ],
    [
      'a caption with NUL',
      () => ({ 'nul.jpg': jpeg, 'nul.txt': 'a\0b' }),
      { 'nul.jpg': /^its caption holds NUL characters, so it is not text: save it as UTF-8$/ },
    ],
    [
      'text that calls itself a picture',
      () => ({ 'text.jpg': 'not a picture at all', 'text.txt': 'x' }),
      { 'text.jpg': /^is text and not a picture: its download may have failed/ },
    ],
    [
      'a file of zero bytes',
      () => ({ 'empty.png': '', 'empty.txt': 'x' }),
      { 'empty.png': /^is empty \(zero bytes\): copy it again$/ },
    ],
    [
      'metadata with a broken line and paths outside',
      () => ({
        'a.jpg': jpeg,
        'metadata.jsonl':
          '{"file_name":"a.jpg","text":\n{"file_name":"../../etc/passwd","text":"x"}\n{"file_name":"a.jpg","text":"a heron"}\n',
      }),
      {
        'metadata.jsonl:1': /^is not a line of JSON: write \{"file_name": …/,
        'metadata.jsonl:2': /^has a path that leaves its folder/,
      },
    ],
    [
      'a corrupt parquet file',
      () => ({
        'bad.parquet': Buffer.concat([
          Buffer.from('PAR1'),
          Buffer.alloc(1000, 7),
          Buffer.from('\xff\xff\xff\x7fPAR1', 'latin1'),
        ]),
      }),
      {
        'bad.parquet':
          /^is not a parquet file that can be read: .*Write it again, or copy it again if it was cut short$/,
      },
    ],
  ])('%s', async (what, files, reasons) => {
    const name = what.toLowerCase().replace(/[^a-z0-9]+/g, '-');
    const { status, samples, rejected } = await ingested(name, { ...good, ...files() });
    expect(Object.fromEntries(rejected.map(({ name: file, reason }) => [file, reason]))).toEqual(
      Object.fromEntries(Object.entries(reasons).map(([file, reason]) => [file, expect.stringMatching(reason)])),
    );
    expect(status).toBe('ingested');
    expect(samples).toBe(Object.keys(files()).includes('a.jpg') ? 2 : 1); // beside the good one, what the good line of the metadata names
  });

  test('a data set of nothing else fails as a whole, and so does a run on it, with the same reason', async () => {
    const { status, error } = await ingested('nothing-good', { 'text.jpg': 'not a picture', 'text.txt': 'x' });
    expect(status).toBe('failed');
    expect(error).toMatch(/none of its files can be used: text\.jpg/);
    await expect(atelier.api.finetune({ dataset: 'nothing-good', steps: 1 })).rejects.toThrow(
      /data set nothing-good could not be read: none of its files can be used: text\.jpg.*Upload it again without what is wrong/,
    );
  });
});

describe('a damaged checkpoint is refused when it is loaded, by file and tensor; put right, it is used at once', () => {
  const TRANSFORMER = 'transformer/diffusion_pytorch_model.safetensors';
  const T5 = 'text_encoder_2/model.safetensors';
  const VAE = 'vae/diffusion_pytorch_model.safetensors';
  const WEIGHT = 'context_embedder.weight';
  const plan = (): Promise<unknown> =>
    atelier.client.plan({ options: { totalSteps: 1 }, width: 64, height: 64, textTokens: 32 });
  let prompts = 0;
  const draw = (): Promise<unknown> => atelier.api.draw({ prompt: `never seen before, ${prompts++}` }); // a known prompt needs no text encoder

  test.each<[string, string, (file: Buffer) => Buffer, () => Promise<unknown>, RegExp]>([
    [
      'offsets that lie',
      TRANSFORMER,
      (file) => tampered(file, (header) => void (header[WEIGHT]!.data_offsets = [256, 2 ** 40])),
      plan,
      /tensor 'context_embedder\.weight' ends at byte 1099511627776 of \d+: the file is truncated or its offsets are wrong; download or copy it again/,
    ],
    [
      'a header larger than the file',
      TRANSFORMER,
      (file) => withHeaderLength(file, 2n ** 40n),
      plan,
      /claims a header of 1099511627776 bytes in a file of \d+: not a safetensors file, or truncated/,
    ],
    [
      'overlapping tensors',
      TRANSFORMER,
      (file) => tampered(file, (header) => void (header['norm_out.linear.bias']!.data_offsets = [16_384, 16_896])),
      plan,
      /tensor 'norm_out\.linear\.bias' overlaps the one before it/,
    ],
    [
      'a tensor that is missing',
      TRANSFORMER,
      (file) => without(file, WEIGHT),
      plan,
      /do not match the config\.json beside them: missing 'context_embedder\.weight'/,
    ],
    [
      'a wrong shape',
      TRANSFORMER,
      (file) => tampered(file, (header) => void (header[WEIGHT]!.shape = [32, 128])),
      plan,
      /wrong shape 'context_embedder\.weight \[32, 128\] instead of \[64, 64\]'/,
    ],
    [
      'a wrong dtype',
      TRANSFORMER,
      (file) => tampered(file, (header) => void Object.assign(header[WEIGHT]!, { dtype: 'I32' })),
      plan,
      /'context_embedder\.weight' is I32, expected F32, F16 or BF16/,
    ],
    [
      'an unknown dtype',
      TRANSFORMER,
      (file) => tampered(file, (header) => void (header[WEIGHT]!.dtype = 'F7')),
      plan,
      /context_embedder\.weight.* has the unknown dtype .*F7/,
    ],
    [
      'NaN among the weights',
      TRANSFORMER,
      (file) => tampered(file, (_header, data) => void data.writeFloatLE(NaN, 256)),
      plan,
      /context_embedder\.weight.* holds NaN or infinity at element 0/,
    ],
    [
      'a file that ends early',
      TRANSFORMER,
      (file) => file.subarray(0, file.length - 1000),
      plan,
      /the file is truncated/,
    ],
    [
      'NaN in a text encoder',
      T5,
      (file) => tampered(file, (_header, data) => void data.writeFloatLE(NaN, 0)),
      draw,
      /SelfAttention\.k\.weight.* holds NaN or infinity at element 0/,
    ],
    [
      'NaN in the VAE',
      VAE,
      (file) => tampered(file, (_header, data) => void data.writeFloatLE(NaN, 0)),
      draw,
      /decoder\.conv_in\.bias.* holds NaN or infinity at element 0/,
    ],
  ])('%s', async (_what, file, damage, ask, reason) => {
    const path = join(model, file);
    const whole = readFileSync(path);
    replace(path, damage(whole));
    try {
      await expect(ask()).rejects.toThrow(
        new RegExp(
          `/${file.split('/')[0]}.*${reason.source}.*\\. Download the checkpoint in .*/model again, or give the services another with ATELIER_MODEL`,
        ),
      );
    } finally {
      replace(path, whole);
    }
    await ask();
  });

  /** As a download does: the file in use stays what it is for whoever has it open. */
  function replace(path: string, bytes: Buffer): void {
    writeFileSync(`${path}.new`, bytes);
    renameSync(`${path}.new`, path);
  }
});

describe('an adapter made elsewhere', () => {
  const bring = (name: string, body: Uint8Array): Promise<unknown> =>
    atelier.api.json(`/v1/adapters/${name}`, {
      method: 'PUT',
      body: body as unknown as string,
      headers: { 'content-type': 'application/octet-stream' },
    });
  const module = (): string =>
    Object.keys(JSON.parse(lora.subarray(8, 8 + Number(lora.readBigUInt64LE(0))).toString()) as object).find((name) =>
      name.endsWith('.lora_A.weight'),
    )!;

  const matrix = { shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) };

  test.each<[string, () => Buffer, RegExp]>([
    [
      'truncated',
      () => lora.subarray(0, lora.length - 100),
      /^adapter file hostile cannot be used: tensor .* ends at byte \d+ of \d+: the file is truncated .*copy it again$/,
    ],
    [
      'with NaN',
      () => tampered(lora, (header, data) => void data.writeFloatLE(NaN, header[module()]!.data_offsets[0])),
      /^adapter file hostile cannot be used: .*lora_A\.weight' holds NaN or infinity at element 0: the training that made it diverged/,
    ],
    [
      'with half of a pair',
      () => without(lora, module()),
      /^adapter file hostile cannot be used: tensor .*lora_B\.weight' has no partner: the module's A .* is not there/,
    ],
    [
      'of a wrong shape',
      () =>
        tampered(lora, (header) => {
          const { shape } = header[module()]!;
          header[module()]!.shape = [shape[0]! * 2, shape[1]! / 2];
        }),
      /^adapter file hostile cannot be used: .*lora_A\.weight' \[4, \d+\].*differ in rank$/,
    ],
    [
      'made for another checkpoint',
      () => Buffer.from(encodeTensors({ [module()]: matrix, [module().replace('lora_A', 'lora_B')]: matrix })),
      /^adapter file hostile cannot be used: sizes do not fit the model: .*; it was made for another model$/,
    ],
    [
      'that is none',
      () => Buffer.from('this is not a LoRA at all'),
      /^adapter file hostile cannot be used: claims a header of \d+ bytes in a file of 25: not a safetensors file, or truncated$/,
    ],
  ])('%s is refused at the door', async (_what, bytes, reason) => {
    await expect(bring('hostile', bytes())).rejects.toMatchObject({
      status: 400,
      message: expect.stringMatching(reason),
    });
    await expect(atelier.api.draw({ prompt: 'x', model: 'hostile' })).rejects.toMatchObject({
      status: 404,
      message: expect.stringMatching(/there is no adapter "hostile": list them/),
    });
  });
});

describe('requests', () => {
  const dataset = 'first';
  test.each<[string, () => Promise<unknown>, { status: number; message: RegExp }]>([
    [
      'a picture size that is no multiple of 16',
      () => atelier.api.draw({ prompt: 'x', size: '100x64' }),
      { status: 400, message: /^body is not valid: size: both sides must be multiples of 16, at most 4096/ },
    ],
    [
      'a data set size that is no multiple of 16',
      () => atelier.api.upload({ name: 'odd', width: '100' }, good),
      { status: 400, message: /width must be a multiple of 16/ },
    ],
    [
      'negative drawing steps',
      () => atelier.api.draw({ prompt: 'x', steps: -1 }),
      { status: 400, message: /steps: .*>=1/ },
    ],
    [
      'negative training steps',
      () => atelier.api.finetune({ dataset, steps: -1 }),
      { status: 400, message: /steps: .*>=1/ },
    ],
    [
      'an adapter that is not there',
      () => atelier.api.draw({ prompt: 'x', adapter: 'nobody' }),
      { status: 404, message: /there is no adapter "nobody": list them to see what there is/ },
    ],
    ['rank 0', () => atelier.api.finetune({ dataset, rank: 0 }), { status: 400, message: /rank: .*>=1/ }],
    [
      'accumulation without measure',
      () => atelier.api.finetune({ dataset, accumulation: 1e9 }),
      { status: 400, message: /accumulation: .*<=4096/ },
    ],
    [
      'a learning rate that is no number',
      () => atelier.api.finetune({ dataset, learning_rate: 'fast' }),
      { status: 400, message: /learning_rate: .*number/ },
    ],
    [
      'a body that is no JSON',
      () =>
        atelier.api.request('/v1/finetunes', {
          method: 'POST',
          body: '{"dataset":',
          headers: { 'content-type': 'application/json' },
        }),
      { status: 400, message: /the body is not JSON/ },
    ],
    [
      'a wrong token',
      () => atelier.api.request('/v1/datasets', { headers: { authorization: 'Bearer wrong-token' } }),
      { status: 401, message: /the token is none of those that this gateway takes/ },
    ],
    [
      'a file over the limit',
      () => atelier.api.upload({ name: 'big' }, { 'big.png': Buffer.alloc(17 * MIB) }),
      {
        status: 413,
        message: /big\.png is over the limit of 16 MiB a file: make it smaller, or raise ATELIER_UPLOAD_FILE_MIB/,
      },
    ],
    [
      'an upload over the limit',
      () => atelier.api.upload({ name: 'big' }, { 'a.png': Buffer.alloc(13 * MIB), 'b.png': Buffer.alloc(13 * MIB) }),
      { status: 413, message: /this upload of .* is over the limit of 24 MiB: send fewer or smaller files/ },
    ],
  ])('%s', async (_what, ask, { status, message }) => {
    await expect(ask()).rejects.toMatchObject({ status, message: expect.stringMatching(message) });
  });

  test.each<[string, () => Promise<unknown>, RegExp]>([
    ['a size', () => atelier.client.generate({ prompt: 'x', width: 100 }), /width: must be a multiple of 16/],
    ['steps', () => atelier.client.generate({ prompt: 'x', steps: -1 }), /steps: .*>=1/],
    [
      'an adapter',
      () => atelier.client.generate({ prompt: 'x', adapters: [{ name: '../../etc/passwd' }] }),
      /there is no adapter "\.\.\/\.\.\/etc\/passwd"/,
    ],
    ['a rank', () => atelier.client.startFinetune({ dataset, options: { rank: 0 } }), /rank: .*>=1/],
    [
      'a plan that is no multiple of 16',
      () => atelier.client.plan({ width: 100, height: 64, textTokens: 32 }),
      /100 × 64: width and height must be positive multiples of 16/,
    ],
  ])('through the client: %s', async (_what, ask, reason) => {
    await expect(ask()).rejects.toThrow(reason);
  });

  test('a module that the model does not have ends the run, which names it', async () => {
    const { id } = await atelier.api.finetune({ dataset, name: 'nowhere', steps: 1, targets: ['to_q', 'to_nowhere'] });
    expect((await atelier.api.followed(id)).at(-1)).toMatchObject({
      type: 'failed',
      message: expect.stringMatching(/to_nowhere/),
    });
    expect(await atelier.api.json<Finetune>(`/v1/finetunes/${id}`)).toMatchObject({
      status: 'failed',
      adapter: null,
      error: expect.stringMatching(/to_nowhere/),
    });
  });
});

test('a good job afterwards is as good as ever', async () => {
  await job('afterwards');
  expect((await atelier.api.bytes('/v1/adapters/afterwards')).equals(lora)).toBe(true);
  await atelier.idle();
});
