// The parity suite must notice: one number of a golden changed by a little more than its tolerance, and the run fails and names it.
import { execFile } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseTensorFile } from '@atelier/checkpoint';

const REPOSITORY = join(__dirname, '..', '..', '..');
const GOLDENS = join(REPOSITORY, 'native', 'test', 'goldens', 'tiny-dev');
const SUITE = join(REPOSITORY, 'test', 'parity', 'dist', 'main.js');

let dir: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'atelier-parity-teeth-'));
  await cp(GOLDENS, dir, { recursive: true });
});

afterEach(() => rm(dir, { recursive: true, force: true }));

function parity(...args: string[]): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [SUITE, ...args],
      { env: { ...process.env, ATELIER_FIXTURES: dir } },
      (error, stdout, stderr) => {
        resolve({ code: error ? Number(error.code) : 0, output: stdout + stderr });
      },
    );
  });
}

/** Moves the largest value of a float32 tensor by a share of itself, or flips the lowest bit of a byte tensor's first. */
async function change(file: string, name: string, share: number): Promise<void> {
  const path = join(dir, file);
  const content = await readFile(path);
  const { dtype, bytes } = parseTensorFile(content, file).tensors.get(name)!;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (dtype === 'U8') {
    view.setUint8(0, view.getUint8(0) ^ 1);
  } else {
    let largest = 0;
    for (let at = 0; at < bytes.byteLength; at += 4)
      if (Math.abs(view.getFloat32(at, true)) > Math.abs(view.getFloat32(largest, true))) largest = at;
    view.setFloat32(largest, view.getFloat32(largest, true) * (1 + share), true);
  }
  await writeFile(path, content);
}

test.each([
  ['text', 'text.safetensors', 't5_embeds', 3e-4],
  ['vae', 'vae.safetensors', 'logvar_a', 3e-4],
  ['nf4', 'nf4.safetensors', 'map_signed', 1e-6],
  ['nf4', 'nf4.safetensors', 'partial_packed', 0],
  ['linear', 'bnb_linear4bit.safetensors', 'y', 3e-4],
  ['optimizers', 'optim.safetensors', 'adamw_p7', 3e-4],
  ['transformer', 'transformer.safetensors', 'block_single_0', 3e-4],
  ['gradients', 'lora_grads.safetensors', 'nf4_grad.transformer_blocks.0.attn.to_k.lora_B.default.weight', 3e-4],
  ['training', 'training.safetensors', 'adamw_loss', 3e-3],
  ['training', 'training.safetensors', 'adamw8bit_end.transformer_blocks.0.attn.to_v.lora_A.default.weight', 3e-3],
  ['inference', 'inference.safetensors', 'lora_two_latents', 3e-3],
])('%s: %s %s moved by %d', async (subject, file, name, share) => {
  await change(file, name, share);
  const { code, output } = await parity(subject);
  expect(code).toBe(1);
  const short = name.replace(/^(\w+)\.(.+)\.lora_([AB]).*$/, '$1 $2.lora_$3');
  expect(output).toMatch(new RegExp(`^FAIL ${short.replace(/\./g, '\\.')}`, 'm'));
});

test('tokens: one id changed', async () => {
  const file = join(dir, 'tokens.json');
  const prompts = JSON.parse(await readFile(file, 'utf8')) as { t5: number[] }[];
  prompts[0]!.t5[0]!++;
  await writeFile(file, JSON.stringify(prompts));
  const { code, output } = await parity('tokens');
  expect(code).toBe(1);
  expect(output).toMatch(/^FAIL t5 ids 0/m);
});

test('schedules: one factor changed', async () => {
  const file = join(dir, 'schedules.json');
  const schedules = JSON.parse(await readFile(file, 'utf8')) as Record<string, number[]>;
  const name = Object.keys(schedules).find((key) => key.startsWith('lr_cosine'))!;
  schedules[name]![7]! += 1e-3;
  await writeFile(file, JSON.stringify(schedules));
  const { code, output } = await parity('schedules');
  expect(code).toBe(1);
  expect(output).toContain(`FAIL ${name}`);
});

test('adapters: a file whose metadata names another alpha', async () => {
  const file = join(dir, 'lora_a', 'pytorch_lora_weights.safetensors');
  const content = await readFile(file, 'latin1');
  await writeFile(
    file,
    content.replace(/lora_alpha\\": \d/, (alpha) => `${alpha.slice(0, -1)}${(Number(alpha.slice(-1)) % 9) + 1}`),
    'latin1',
  );
  const { code, output } = await parity('adapters');
  expect(code).toBe(1);
  expect(output).toMatch(/^FAIL lora_a alpha/m);
});

test('a file that is missing fails its subject, and the others still run', async () => {
  await rm(join(dir, 'vae.safetensors'));
  const { code, output } = await parity('vae', 'schedules');
  expect(code).toBe(1);
  expect(output).toMatch(/FAIL .*vae\.safetensors/);
  expect(output).toMatch(/^loss_weighting cosmap.* ok$/m);
});

test('an untouched folder passes; a misspelt subject does not pass for nothing', async () => {
  expect((await parity('schedules', 'nf4')).code).toBe(0);
  expect((await parity('schedule')).code).toBe(1);
});
