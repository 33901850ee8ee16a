// inspectCheckpoint says of a folder what loading it would say.
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseTensorFile } from '@atelier/checkpoint';
import { inspectCheckpoint } from '@atelier/engine';
import { TINY } from './tiny';

let dir: string;
const path = (...parts: string[]) => join(dir, ...parts);

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'atelier-inspect-'));
  await cp(join(TINY, 'model'), dir, { recursive: true });
});

afterEach(() => rm(dir, { recursive: true, force: true }));

async function weightsOf(component: string): Promise<string> {
  return path(
    component,
    (await readdir(path(component))).find((file) => file.endsWith('.safetensors'))!,
  );
}

async function rewrite(file: string, change: (content: Buffer) => Buffer | void): Promise<void> {
  const content = await readFile(file);
  await writeFile(file, change(content) ?? content);
}

async function setConfig(component: string, file: string, fields: object): Promise<void> {
  await rewrite(path(component, file), (content) =>
    Buffer.from(JSON.stringify({ ...JSON.parse(content.toString()), ...fields })),
  );
}

test('a good checkpoint: every component with its tensors, bytes and types', async () => {
  const reports = await inspectCheckpoint(dir);
  expect(reports.map(({ component }) => component)).toEqual([
    'scheduler',
    'text_encoder',
    'text_encoder_2',
    'transformer',
    'vae',
  ]);
  for (const { component, tensors, bytes, dtype } of reports.slice(1)) {
    const file = parseTensorFile(await readFile(await weightsOf(component)));
    const stored = [...file.tensors.values()];
    expect({ component, tensors, bytes }).toEqual({
      component,
      tensors: stored.length,
      bytes: stored.reduce((sum, tensor) => sum + tensor.bytes.byteLength, 0),
    });
    expect(dtype.split(', ').sort()).toEqual([...new Set(stored.map((tensor) => tensor.dtype))].sort());
  }
});

test('the transformer in shards', async () => {
  const whole = await weightsOf('transformer');
  const { tensors } = parseTensorFile(await readFile(whole));
  const names = [...tensors.keys()];
  const shards = [names.slice(0, 20), names.slice(20)];
  const map: Record<string, string> = {};
  for (const [i, part] of shards.entries()) {
    const file = `diffusion_pytorch_model-0000${i + 1}-of-00002.safetensors`;
    const header: Record<string, unknown> = {};
    let at = 0;
    for (const name of part) {
      const { dtype, shape, bytes } = tensors.get(name)!;
      header[name] = { dtype, shape, data_offsets: [at, (at += bytes.byteLength)] };
      map[name] = file;
    }
    const json = Buffer.from(JSON.stringify(header));
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(json.length));
    await writeFile(
      path('transformer', file),
      Buffer.concat([length, json, ...part.map((name) => tensors.get(name)!.bytes)]),
    );
  }
  await writeFile(
    path('transformer', 'diffusion_pytorch_model.safetensors.index.json'),
    JSON.stringify({ metadata: {}, weight_map: map }),
  );
  await rm(whole);
  const report = (await inspectCheckpoint(dir)).find(({ component }) => component === 'transformer')!;
  expect(report).toMatchObject({ tensors: names.length, details: expect.stringContaining('2 shards') as string });
});

test.each<[string, string, string, () => Promise<unknown>]>([
  ['no model_index.json', 'NOT_FOUND', 'model_index.json', () => rm(path('model_index.json'))],
  [
    'another pipeline',
    'UNIMPLEMENTED',
    'FluxPipeline',
    () => setConfig('.', 'model_index.json', { _class_name: 'StableDiffusionPipeline' }),
  ],
  [
    'another class for a component',
    'UNIMPLEMENTED',
    'AutoencoderKL',
    () => setConfig('.', 'model_index.json', { vae: ['diffusers', 'AutoencoderTiny'] }),
  ],
  ['no weights', 'NOT_FOUND', 'text_encoder_2', async () => rm(await weightsOf('text_encoder_2'))],
  ['no config', 'NOT_FOUND', 'vae', () => rm(path('vae', 'config.json'))],
  ['a config that is not JSON', 'DATA_LOSS', 'config.json', () => writeFile(path('transformer', 'config.json'), '{')],
  ['a config of other sizes', 'NOT_FOUND', 'missing', () => setConfig('transformer', 'config.json', { num_layers: 9 })],
  [
    'weights that the config does not know',
    'DATA_LOSS',
    'unexpected',
    () => setConfig('transformer', 'config.json', { num_layers: 1 }),
  ],
  [
    'tensors of another shape',
    'DATA_LOSS',
    'wrong shape',
    () => setConfig('text_encoder', 'config.json', { intermediate_size: 48 }),
  ],
  [
    'a scheduler of another kind',
    'UNIMPLEMENTED',
    'use_karras_sigmas',
    () => setConfig('scheduler', 'scheduler_config.json', { use_karras_sigmas: true }),
  ],
  [
    'a truncated file',
    'DATA_LOSS',
    'vae',
    async () => rewrite(await weightsOf('vae'), (content) => content.subarray(0, content.length - 100)),
  ],
  [
    'a header that is no header',
    'DATA_LOSS',
    'transformer',
    async () => rewrite(await weightsOf('transformer'), (content) => void content.fill(0xff, 0, 8)),
  ],
  [
    'a type that no weight has',
    'UNIMPLEMENTED',
    'I32',
    async () =>
      rewrite(await weightsOf('transformer'), (content) => void content.write('"I32"', content.indexOf('"F32"'))),
  ],
  [
    'NaN among the weights',
    'DATA_LOSS',
    'NaN',
    async () =>
      rewrite(await weightsOf('transformer'), (content) => void content.writeFloatLE(NaN, content.length - 4)),
  ],
])('%s', async (_, code, part, damage) => {
  await damage();
  const error = await inspectCheckpoint(dir).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toMatchObject({ name: 'EngineError', code, message: expect.stringContaining(part) as string });
});
