import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { syntheticPictures, tinyCheckpoint, waitFor } from '@atelier/testing';
import { cli, startCli, type Ended, type RunningCli } from './run-cli';

const objects = (text: string): Record<string, unknown>[] =>
  text
    .trim()
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>);

/** The whole job from a shell: upload, encode, train, draw, against everything that "atelier up" starts. */
describe('finetune and generate', () => {
  let folder: string;
  let up: RunningCli;
  const data = (): string[] => ['--data', join(folder, 'data')];
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'atelier-job-'));
    await syntheticPictures(join(folder, 'shapes'), 3);
    up = startCli(['up', '--port', '0', ...data(), '--model', tinyCheckpoint()], { ATELIER_TEXT_TOKENS: '32' });
    await waitFor(
      'Atelier to be up',
      () => {
        if (up.child.exitCode !== null) throw new Error(`up ended: ${up.stderr()}`);
        return up.stdout().includes('Atelier is up');
      },
      90_000,
    );
  });
  afterAll(async () => {
    up.child.kill('SIGTERM');
    await up.ended;
    rmSync(folder, { recursive: true, force: true });
  });

  const train = (...args: string[]): Promise<Ended> => cli(['finetune', ...data(), '--rank', '2', ...args]);
  const upload = (...args: string[]): Promise<Ended> => train('--size', '64', ...args);

  test('a folder becomes an adapter, written in either spelling', async () => {
    const file = join(folder, 'shapes.safetensors');
    const { code, stdout, stderr } = await upload(join(folder, 'shapes'), '--steps', '3', '-o', file);
    for (const line of [
      /^upload: .* 6\/6 files/,
      /^run +run-\w+, adapter shapes/,
      /^encoding: 6\/6 +latents 3\/3, prompts 3\/3/,
      /^memory +.* weights/,
      /^training: 3\/3 +loss \d\.\d{4} +lr 0\.000100/,
    ]) {
      expect(stderr.split('\n')).toEqual(expect.arrayContaining([expect.stringMatching(line)]));
    }
    expect(stdout).toMatch(/^adapter {4}shapes: rank 2, [^]*written {4}.*shapes\.safetensors\n$/);
    expect(code).toBe(0);
    expect(readFileSync(file).includes('lora_A')).toBe(true);
    const kohya = join(folder, 'kohya.safetensors');
    expect((await cli(['adapters', 'download', 'shapes', '--format', 'kohya', '-o', kohya, ...data()])).code).toBe(0);
    expect(readFileSync(kohya).includes('lora_unet_')).toBe(true);
  });

  test('the same pictures again: nothing to encode', async () => {
    const { code, stderr } = await upload(join(folder, 'shapes'), '--name', 'again', '--steps', '1');
    expect(stderr).toContain('nothing to encode: all 3 latents and 3 prompts cached');
    expect(code).toBe(0);
  });

  test('--json tells every event in one object a line', async () => {
    const { code, stdout } = await train('--dataset', 'shapes', '--name', 'told', '--steps', '2', '--json');
    const events = objects(stdout);
    expect(code).toBe(0);
    expect(events.map(({ type }) => type)).toEqual(
      expect.arrayContaining(['run', 'encoding', 'planned', 'step', 'finished']),
    );
    expect(events.filter(({ type }) => type === 'step').map(({ step }) => step)).toEqual([1, 2]);
    expect(events.at(-1)).toMatchObject({ type: 'finished' });
  });

  test('validation pictures are written as they are drawn', async () => {
    const pictures = join(folder, 'validation');
    const { code } = await train(
      '--dataset',
      'shapes',
      '--name',
      'shown',
      '--steps',
      '2',
      '--validation-prompt',
      'a circle',
      '--validate-every',
      '2',
      '--validation-steps',
      '2',
      '--validation-dir',
      pictures,
    );
    expect(code).toBe(0);
    expect(readdirSync(pictures).filter((name) => name.startsWith('step-000002-'))).toHaveLength(1);
  });

  test('Ctrl-C cancels the run: exit code 4', async () => {
    const run = startCli([
      'finetune',
      ...data(),
      '--dataset',
      'shapes',
      '--name',
      'given-up',
      '--steps',
      '100000',
      '--rank',
      '2',
      '--json',
    ]);
    await waitFor('the first step', () => run.stdout().includes('"type":"step"'), 60_000);
    run.child.kill('SIGINT');
    const { code, stdout, stderr } = await run.ended;
    expect(stderr).toMatch(/\natelier: run run-\w+ \(given-up\) was cancelled\n$/);
    expect(code).toBe(4);
    expect(objects(stdout).at(-1)).toMatchObject({ type: 'error', code: 'CANCELLED' });
    expect((await cli(['runs', ...data()])).stdout).toMatch(/given-up +cancelled/);
  });

  test('--detach starts a run, runs follow sees it to its end', async () => {
    const started = await train('--dataset', 'shapes', '--name', 'alone', '--steps', '2', '--detach');
    expect(started).toMatchObject({ code: 0, stdout: expect.stringMatching(/^run-\w+\n$/) });
    const followed = await cli(['runs', 'follow', started.stdout.trim(), ...data()]);
    expect(followed).toMatchObject({
      code: 0,
      stdout: 'adapter    alone\n',
      stderr: expect.stringContaining('training: 2/2'),
    });
  });

  test('pictures that cannot be used are told, and a set of nothing else fails: exit code 1', async () => {
    const bad = join(folder, 'bad.png');
    writeFileSync(bad, 'no picture at all');
    const { code, stderr } = await upload(bad, '--steps', '1');
    expect(stderr).toMatch(/\natelier: .*data set \S+ \(bad\) failed: none of its files can be used: bad\.png.*\n$/);
    expect(code).toBe(1);
    expect((await cli(['datasets', 'show', 'bad', ...data()])).stdout).toMatch(/status +failed/);
  });

  test('draws with an adapter: equal seeds draw equal pictures, another adapter another', async () => {
    const draw = (file: string, ...args: string[]): Promise<unknown> =>
      cli([
        'generate',
        'a crimson circle',
        '--size',
        '64x96',
        '--steps',
        '2',
        '--seed',
        '7',
        '-o',
        join(folder, file),
        ...args,
        ...data(),
      ]);
    expect(await draw('a.png', '--adapter', 'shapes')).toMatchObject({
      code: 0,
      stdout: `${join(folder, 'a.png')}  (seed 7)\n`,
    });
    await draw('b.png', '--adapter', 'shapes');
    await draw('c.png', '--adapter', 'shapes:8');
    const [a, b, c] = ['a.png', 'b.png', 'c.png'].map((name) => readFileSync(join(folder, name)));
    expect(a!.equals(b!)).toBe(true);
    expect(a!.equals(c!)).toBe(false);
    expect(await sharp(a).metadata()).toMatchObject({ width: 64, height: 96, format: 'png' });
  });

  test('several pictures get numbers, in the format of the file', async () => {
    const { code, stdout } = await cli([
      'generate',
      'a square',
      '--size',
      '64',
      '--steps',
      '1',
      '--count',
      '2',
      '-o',
      join(folder, 'many.webp'),
      '--json',
      ...data(),
    ]);
    expect(code).toBe(0);
    expect(
      objects(stdout)
        .filter(({ type }) => type === 'image')
        .map(({ file }) => file),
    ).toEqual([join(folder, 'many-1.webp'), join(folder, 'many-2.webp')]);
    expect((await sharp(join(folder, 'many-2.webp')).metadata()).format).toBe('webp');
  });

  test('an adapter that is not there is refused before anything is drawn', async () => {
    const { code, stderr } = await cli([
      'generate',
      'x',
      '--adapter',
      'nobody',
      '-o',
      join(folder, 'never.png'),
      ...data(),
    ]);
    expect(stderr).toMatch(/^atelier: there is no adapter "nobody": list them/);
    expect(code).toBe(2);
    expect(existsSync(join(folder, 'never.png'))).toBe(false);
  });

  test('plan - the trainer answers where it runs, as the checkpoint opened here does', async () => {
    const args = ['plan', '--size', '64', '--text-tokens', '32', '--json', '--model', tinyCheckpoint(), ...data()];
    const asked = await cli(args);
    const here = await cli([...args, '--here']);
    expect(asked.code).toBe(0);
    expect(asked.stderr).toBe('');
    expect(objects(asked.stdout)).toEqual(objects(here.stdout));
  });
});

test('finetune --up starts Atelier for the command alone and leaves nothing running', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'atelier-alone-'));
  try {
    await syntheticPictures(join(folder, 'shapes'), 2);
    const { code, stderr } = await cli(
      [
        'finetune',
        join(folder, 'shapes'),
        '--up',
        '--size',
        '64',
        '--steps',
        '1',
        '--rank',
        '2',
        '--data',
        join(folder, 'data'),
        '--model',
        tinyCheckpoint(),
      ],
      { ATELIER_TEXT_TOKENS: '32' },
    );
    expect(stderr).toMatch(/^starting Atelier for this command\n/);
    expect(code).toBe(0);
    expect(existsSync(join(folder, 'data', 'up.json'))).toBe(false);
    expect(readdirSync(join(folder, 'data', 'nats')).filter((name) => name.endsWith('.ports'))).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
