import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { AtelierClient } from '@atelier/client';
import { Run, RunState } from '@atelier/contracts';
import { cardNames } from '@atelier/engine';
import { StateStore } from '@atelier/store';
import { repositoryRoot, startTestMesh, syntheticPictures, tinyCheckpoint, type TestMesh } from '@atelier/testing';
import { cli, inProcess } from './run-cli';

/** A port where nothing listens: the discard service's. */
const NOBODY = 'nats://127.0.0.1:9';

describe('the command, as a process', () => {
  let folder: string;
  let data: Record<string, string>;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'atelier-cli-'));
    data = { ATELIER_DATA: join(folder, 'data') };
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  describe('launcher', () => {
    test('where nothing is built it says how to build, and no stack', () => {
      const copy = join(folder, 'unbuilt', 'cli');
      mkdirSync(copy, { recursive: true });
      cpSync(join(repositoryRoot, 'cli', 'bin'), join(copy, 'bin'), { recursive: true });
      const { status, stderr } = spawnSync(process.execPath, [join(copy, 'bin', 'atelier.js'), 'up'], {
        encoding: 'utf8',
      });
      expect(status).toBe(1);
      expect(stderr).toBe(`atelier: it is not built yet: run "npm run setup" in ${join(folder, 'unbuilt')}\n`);
    });

    test('where a library is missing it says so, and no stack', () => {
      const copy = join(folder, 'half', 'cli');
      mkdirSync(join(copy, 'dist'), { recursive: true });
      cpSync(join(repositoryRoot, 'cli', 'bin'), join(copy, 'bin'), { recursive: true });
      writeFileSync(join(copy, 'dist', 'main.js'), `require('nothing-of-this-name')`);
      const { status, stderr } = spawnSync(process.execPath, [join(copy, 'bin', 'atelier.js'), 'up'], {
        encoding: 'utf8',
      });
      expect(status).toBe(1);
      expect(stderr).toMatch(
        /^atelier: a part of it is missing \(Cannot find module 'nothing-of-this-name'\): run "npm run setup" in .*\n$/,
      );
    });
  });

  describe('bad usage and input - exit code 2 and one line', () => {
    test.each([
      ['an unknown command', ['fine-tune'], /unknown command 'fine-tune'/],
      [
        'an unknown option, with the one that was meant',
        ['finetune', 'x', '--stepps', '3'],
        /unknown option '--stepps' \(Did you mean --steps\?\)/,
      ],
      ['a missing argument', ['generate'], /missing required argument 'prompt'/],
      [
        'a folder that is not there',
        ['finetune', '/no/such/folder'],
        /\/no\/such\/folder does not exist: give a folder/,
      ],
      ['no pictures at all', ['finetune'], /give a folder of pictures, an archive or a \.parquet/],
      ['pictures and a data set', ['finetune', 'x', '--dataset', 'y'], /not both/],
      [
        'the size of a data set that is there',
        ['finetune', '--dataset', 'y', '--size', '64'],
        /a data set has its own/,
      ],
      [
        'a folder to write the adapter to',
        ['finetune', '--dataset', 'y', '-o', tmpdir()],
        /is a folder: name a file in it/,
      ],
      ['a folder that is not there yet', ['finetune', '--dataset', 'y', '-o', 'z/'], /--output z\/ is a folder/],
      [
        'a warm-up of the constant schedule',
        ['finetune', '--dataset', 'y', '--warmup', '9'],
        /"constant" has no warm-up/,
      ],
      ['--detach with --output', ['finetune', '--dataset', 'y', '--detach', '-o', 'z'], /exclude each other/],
      [
        'options out of their limits, all at once',
        ['finetune', '--dataset', 'y', '--rank', '0', '--lr', '11'],
        /--rank 0: .*--lr 11: /,
      ],
      [
        'a name that is none',
        ['finetune', '--dataset', 'y', '--name', 'No Name!'],
        /adapter name "No Name!" is not a name: use lower-case/,
      ],
      ['a size that is none', ['generate', 'x', '--size', '500x500'], /multiples of 16/],
      ['a picture format that is none', ['generate', 'x', '-o', 'x.bmp'], /x\.bmp: pictures are written as \.png/],
      ['a weight that is none', ['generate', 'x', '--adapter', 'a:much'], /a number/],
      ['too many pictures', ['generate', 'x', '--count', '11'], /count/],
      [
        'a checkpoint that is not there',
        ['up', '--model', '/no/such/model'],
        /there is no checkpoint at \/no\/such\/model\. Give another folder/,
      ],
      ['a model name that is none', ['model', 'pull', 'flux'], /model flux: expected owner\/name/],
      ['an adapter file that is not there', ['adapters', 'kohya', '/no/such/file', 'out'], /\/no\/such\/file/],
      ['a bad setting', ['runs', '--nats', 'http://x y'], /ATELIER_NATS_URL is "http:\/\/x y": use nats:\/\/host:port/],
      ['a budget that is none', ['plan', '--vram', 'much'], /such as 8GB/],
    ])('%s', async (_what, args, message) => {
      const { code, stdout, stderr } = await inProcess(args, data);
      expect(stderr).toMatch(message);
      expect(stderr).toMatch(/^atelier: [^\n]+\n$/);
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    });
  });

  test.each([
    ['runs'],
    ['datasets'],
    ['adapters'],
    ['runs show x'],
    ['runs cancel x'],
    ['datasets cancel x'],
    ['adapters download x'],
    ['generate x'],
    ['finetune --dataset x'],
  ])('%s - where nothing runs: exit code 3, and how to start', async (line) => {
    const { code, stdout, stderr } = await inProcess([...line.split(' '), '--nats', NOBODY], data);
    expect(stderr).toMatch(
      /^atelier: Atelier is not running at nats:\/\/127\.0\.0\.1:9: start it with "atelier up".*\n$/,
    );
    expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
  });

  describe('model pull', () => {
    const pull = (endpoint: string, token?: string): ReturnType<typeof inProcess> =>
      inProcess(
        ['model', 'pull', 'black-forest-labs/FLUX.1-dev', '--dir', join(folder, 'pulled'), '--endpoint', endpoint],
        { ...data, ...(token && { HF_TOKEN: token }) },
      );

    test('a hub that cannot be reached: exit code 3, and that it goes on where it stopped', async () => {
      const { code, stderr } = await pull('http://127.0.0.1:9');
      expect(stderr).toMatch(
        /^atelier: black-forest-labs\/FLUX\.1-dev: cannot reach http:\/\/127\.0\.0\.1:9 .*continues where it stopped\n$/,
      );
      expect(code).toBe(3);
    });

    test('a gated checkpoint: exit code 6, the licence, and the token of HF_TOKEN was shown to the hub', async () => {
      const seen: (string | undefined)[] = [];
      const hub = createServer((request, response) => {
        seen.push(request.headers.authorization);
        response.writeHead(401, { 'content-type': 'application/json' }).end('{"error":"gated"}');
      }).listen(0, '127.0.0.1');
      await new Promise((resolve) => hub.once('listening', resolve));
      const { code, stderr } = await pull(`http://127.0.0.1:${(hub.address() as AddressInfo).port}`, 'hf_test');
      hub.close();
      expect(stderr).toMatch(/^atelier: .*accept the model's licence on its page and give a valid token\n$/);
      expect(code).toBe(6);
      expect(seen).toEqual(['Bearer hf_test']);
    });
  });

  test('as a process of its own it ends the same way', async () => {
    expect(await cli(['runs', '--nats', NOBODY], data)).toMatchObject({ code: 3, stdout: '' });
    expect(await cli(['finetune', '/no/such/folder'], data)).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringMatching(/^atelier: [^\n]+\n$/),
    });
  });

  test('--json - errors are an object on stdout as well', async () => {
    const { code, stdout } = await inProcess(['runs', '--json', '--nats', NOBODY], data);
    expect(code).toBe(3);
    expect(JSON.parse(stdout)).toMatchObject({
      type: 'error',
      code: 'UNAVAILABLE',
      message: expect.stringContaining('atelier up'),
    });
    const usage = await inProcess(['runs', 'show', '--json'], data);
    expect(JSON.parse(usage.stdout)).toMatchObject({ type: 'error', code: 'INVALID_ARGUMENT' });
  });

  test('without a command it shows its help, as a mistake; asked for, as an answer', async () => {
    expect(await inProcess([], data)).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringContaining('Examples:'),
    });
    expect(await inProcess(['--help'], data)).toMatchObject({
      code: 0,
      stderr: '',
      stdout: expect.stringContaining('Examples:'),
    });
    expect(await inProcess(['help', 'finetune'], data)).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('atelier finetune herons.zip'),
    });
    expect(await cli(['--version'], data)).toEqual({ code: 0, stdout: '0.1.0\n', stderr: '' });
  });

  describe('without a mesh', () => {
    const model = tinyCheckpoint();

    test('plan - opens the checkpoint here; code 5 when the budget is too small', async () => {
      const fits = await cli(['plan', '--here', '--model', model, '--size', '64', '--vram', '1GB', '--json'], data);
      const plan = JSON.parse(fits.stdout) as Record<string, number>;
      expect(fits.code).toBe(0);
      expect(plan).toMatchObject({ type: 'plan', fits: true, budget_bytes: 1024 ** 3 });
      expect(plan.total_bytes).toBe(plan.arena_bytes! + plan.weight_bytes! + plan.state_bytes! + plan.workspace_bytes!);
      expect(plan.keep_input! + plan.keep_attention! + plan.keep_all!).toBe(plan.blocks);
      expect(plan).not.toHaveProperty('predicted'); // of the CPU there is no model
      const tight = await cli(
        ['plan', '--here', '--model', model, '--size', '64', '--vram', String(plan.total_bytes! - 1)],
        data,
      );
      expect(tight.code).toBe(5);
      expect(tight.stderr).toContain(`these options need`);
      expect(tight.stderr).toContain(`(${plan.total_bytes} bytes)`);
      expect(
        (await cli(['plan', '--here', '--model', model, '--size', '64', '--vram', String(plan.total_bytes)], data))
          .code,
      ).toBe(0);
    });

    describe('plan for a card', () => {
      const plan = async (...args: string[]): Promise<Record<string, number | string | boolean>> => {
        const { code, stdout, stderr } = await inProcess(
          ['plan', '--size', '512x768', '--text-tokens', '77', '--json', ...args],
          data,
        );
        expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
        return JSON.parse(stdout) as Record<string, number | string | boolean>;
      };

      test("FLUX.1-dev's, without weights: within the budget, faster the more there is, and its parts add up", async () => {
        const [small, large] = [
          await plan('--vram', '4GB', '--accumulation', '4'),
          await plan('--vram', '24GB', '--accumulation', '4'),
        ];
        for (const one of [small, large] as Record<string, number>[]) {
          expect(one).toMatchObject({ gpu: '4090', blocks: 57, fits: true });
          expect(one.total_bytes).toBe(
            one.arena_bytes! + one.weight_bytes! + one.state_bytes! + one.workspace_bytes! + one.context_bytes!,
          );
          expect(one.keep_input! + one.keep_attention! + one.keep_all!).toBe(57);
        }
        expect(small.total_bytes).toBeLessThanOrEqual(4 * 1024 ** 3);
        expect(small.parked_blocks).toBeGreaterThan(0);
        expect(small.parked_bytes).toBeGreaterThan(1e9);
        expect(large).toMatchObject({
          keep_all: 57,
          parked_blocks: 0,
          parked_bytes: 0,
          resident_blocks: 57,
          modulation_resident: true,
          predicted: { again_ms: 0, forward_fetch_ms: 0 },
        });
        const times = [small, large].map(({ predicted }) => predicted as unknown as Record<string, number>);
        expect(times[0]!.micro_step_ms).toBeGreaterThan(times[1]!.micro_step_ms!);
        expect(times[1]!.run_s).toBeCloseTo((times[1]!.micro_step_ms! * 700 * 4) / 1000, 6);
      });

      test('with the sizes of the checkpoint that is named, of which only the config is read', async () => {
        const only = join(folder, 'config-only');
        mkdirSync(join(only, 'transformer'), { recursive: true });
        copyFileSync(join(model, 'transformer', 'config.json'), join(only, 'transformer', 'config.json'));
        expect(await plan('--gpu', 'h100', '--model', only)).toMatchObject({ gpu: 'h100', blocks: 5 });
      });

      test('says for people what is kept, what stays, and that times are not measured', async () => {
        const { stdout } = await inProcess(['plan', '--size', '512x768', '--vram', '8GB'], data);
        expect(stdout).toMatch(
          /fits in 8\.0 GiB.*\n.*\n.*kept for backward .*of \d+ blocks\n.*parked till backward .*\n.*blocks stay on the device.*\ntime by a model of the 4090's published rates, not measured\n/,
        );
      });

      test('a budget that is too small: exit code 5 and the smallest that works, which works', async () => {
        const refused = await inProcess(['plan', '--vram', '1GB'], data);
        expect(refused).toMatchObject({ code: 5, stdout: '' });
        const smallest = /planned into is (\d+) bytes/.exec(refused.stderr)![1]!;
        expect(await inProcess(['plan', '--vram', smallest], data)).toMatchObject({ code: 0 });
      });

      test('every card of the engine is in the help, and others are refused with the names', async () => {
        const { stdout } = await inProcess(['plan', '--help'], data);
        for (const name of cardNames()) expect(stdout).toContain(name);
        expect(await inProcess(['plan', '--gpu', 'voodoo2'], data)).toMatchObject({
          code: 2,
          stderr: expect.stringContaining(cardNames().join(', ')),
        });
        expect(await inProcess(['plan', '--gpu', '4090', '--here'], data)).toMatchObject({ code: 2 });
      });
    });

    test('model inspect - every component with its tensors', async () => {
      const { code, stdout } = await cli(['model', 'inspect', model, '--json', '--fingerprints'], data);
      expect(code).toBe(0);
      const report = JSON.parse(stdout) as {
        components: { component: string; tensors: number }[];
        fingerprints: Record<string, string>;
      };
      expect(report.components.map(({ component }) => component)).toEqual(
        expect.arrayContaining(['transformer', 'vae', 'text_encoder', 'text_encoder_2']),
      );
      expect(report.fingerprints.vae).toMatch(/^[0-9a-f]{64}$/);
    });

    test('adapters kohya - converts a file of diffusers, and leaves nothing half written', async () => {
      const source = join(
        repositoryRoot,
        'native',
        'test',
        'goldens',
        'tiny-dev',
        'lora_a',
        'pytorch_lora_weights.safetensors',
      );
      const target = join(folder, 'deep', 'kohya.safetensors');
      expect(await cli(['adapters', 'kohya', source, target], data)).toMatchObject({ code: 0, stdout: `${target}\n` });
      expect(readFileSync(target).includes('lora_unet_')).toBe(true);
      const broken = join(folder, 'broken.safetensors');
      writeFileSync(broken, readFileSync(source).subarray(0, 1000));
      const failed = await cli(['adapters', 'kohya', broken, join(folder, 'never')], data);
      expect(failed.code).not.toBe(0);
      expect(failed.stderr).toMatch(/^atelier: .*broken\.safetensors.*\n$/);
      expect([existsSync(join(folder, 'never')), existsSync(join(folder, 'never.part'))]).toEqual([false, false]);
    });

    test('doctor - code 1 and the remedy where the checkpoint is missing, 0 where nothing is', async () => {
      const missing = await cli(['doctor', '--json'], { ...data, ATELIER_HTTP_PORT: '0', ATELIER_COMPUTE: 'cpu' });
      expect(missing.code).toBe(1);
      const checks = missing.stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as { name: string; state: string; text: string });
      expect(checks.find(({ name }) => name === 'checkpoint')).toMatchObject({
        state: 'fail',
        text: expect.stringContaining('atelier model pull'),
      });
      expect(checks.find(({ name }) => name === 'engine')).toMatchObject({
        state: 'ok',
        text: expect.stringContaining('cpu'),
      });
      const whole = await cli(['doctor', '--model', model], {
        ...data,
        ATELIER_HTTP_PORT: '0',
        ATELIER_COMPUTE: 'cpu',
      });
      expect(whole).toMatchObject({ code: 0, stdout: expect.stringMatching(/ok {4}checkpoint .*\(dev\)[^]*ready\n$/) });
      const noServer = await cli(['doctor', '--model', model], {
        ...data,
        ATELIER_HTTP_PORT: '0',
        ATELIER_COMPUTE: 'cpu',
        ATELIER_NATS_SERVER: '/no/such/server',
      });
      expect(noServer).toMatchObject({
        code: 1,
        stdout: expect.stringMatching(/FAIL {2}nats-server {2}\/no\/such\/server is not installed: install it/),
      });
    });
  });

  describe('with a mesh and no services', () => {
    let mesh: TestMesh;
    let client: AtelierClient;
    let env: Record<string, string>;
    beforeAll(async () => {
      mesh = await startTestMesh();
      client = await AtelierClient.connect(mesh.url, 'test');
      env = { ...data, ATELIER_NATS_URL: mesh.url };
    });
    afterAll(async () => {
      await client.close();
      await mesh.stop();
    });

    test('lists are empty in words, and nothing with --json', async () => {
      expect(await inProcess(['runs'], env)).toMatchObject({
        code: 0,
        stdout: 'There are no runs yet: start one with "atelier finetune".\n',
      });
      expect(await inProcess(['datasets', '--json'], env)).toMatchObject({ code: 0, stdout: '' });
      expect((await inProcess(['adapters', 'list'], env)).stdout).toContain('There are no adapters yet');
    });

    test('work is refused while no service is there to do it', async () => {
      const { code, stderr } = await inProcess(['generate', 'a heron'], env);
      expect(stderr).toBe(
        'atelier: nats-server answers, but no service of Atelier does: start them with "atelier up"\n',
      );
      expect(code).toBe(3);
    });

    test.each([
      ['runs show nope', /there is no run "nope": list them/],
      ['datasets show nope', /there is no data set "nope"/],
      ['adapters download nope', /there is no adapter "nope"/],
    ])('%s - code 2', async (line, message) => {
      const { code, stderr } = await inProcess(line.split(' '), env);
      expect(stderr).toMatch(message);
      expect(code).toBe(2);
    });

    test('an adapter made elsewhere is taken in, listed, and comes out again as it was', async () => {
      const source = join(
        repositoryRoot,
        'native',
        'test',
        'goldens',
        'tiny-dev',
        'lora_a',
        'pytorch_lora_weights.safetensors',
      );
      expect(await inProcess(['adapters', 'import', source, '--name', 'ink'], env)).toMatchObject({
        code: 0,
        stdout: expect.stringMatching(/^ink: rank \d+/),
      });
      expect(await inProcess(['adapters', 'import', source, '--name', 'ink'], env)).toMatchObject({
        code: 2,
        stderr: expect.stringMatching(/already an adapter named ink/),
      });
      expect((await inProcess(['adapters'], env)).stdout).toMatch(/ADAPTER +RANK[^]*\nink +\d/);
      const file = join(folder, 'ink.safetensors');
      expect((await inProcess(['adapters', 'download', 'ink', '-o', file], env)).code).toBe(0);
      expect(readFileSync(file).equals(readFileSync(source))).toBe(true);
      expect(
        await inProcess(
          ['adapters', 'download', 'ink', '--format', 'kohya', '-o', join(folder, 'ink-kohya.safetensors')],
          env,
        ),
      ).toMatchObject({ code: 0 });
      expect(readFileSync(join(folder, 'ink-kohya.safetensors')).includes('lora_unet_')).toBe(true);
    });

    test('runs that wait for a trainer are put in order, paused, resumed and cancelled', async () => {
      const entries = new StateStore(mesh.mesh, 'runs', Run);
      for (const [at, id] of ['r1', 'r2'].entries()) {
        const waits = { state: RunState.RUN_STATE_QUEUED, encoded: true, createdAt: { seconds: 1000 + at, nanos: 0 } };
        await entries.create(id, Run.create({ id, name: id, ...waits }));
      }
      const said = async (...line: string[]): Promise<string> =>
        (await inProcess(['runs', ...line], env)).stdout.trim();
      expect(await said('priority', 'r2', '3')).toBe('run r2 has priority 3 and is: queued, place 1');
      expect(await said('list')).toMatch(/^r1 +r1 +queued, place 2 /m);
      expect(await said('show', 'r2')).toMatch(/^priority {3}3$/m);
      for (let times = 0; times < 2; times++)
        expect(await said('pause', 'r2')).toBe('run r2 has priority 3 and is: paused');
      const shown = JSON.parse(await said('show', 'r1', '--json')) as object;
      expect(shown).toMatchObject({ status: 'queued', place: 1, priority: 0, pause_requested: false });
      expect(await said('resume', 'r2')).toBe('run r2 has priority 3 and is: queued, place 1');
      expect(await inProcess(['runs', 'priority', 'r2', 'soon'], env)).toMatchObject({
        code: 2,
        stderr: expect.stringMatching(/priority .*use a whole number, -100 to 100/),
      });
      await said('pause', 'r2');
      for (const id of ['r1', 'r2']) expect(await said('cancel', id)).toBe(`run ${id} is cancelled`);
      expect(await said('resume', 'r2')).toBe('run r2 is over already: cancelled');
      for (const id of ['r1', 'r2']) await entries.delete(id);
    });

    test('a run whose encoder is missing says so', async () => {
      const entries = new StateStore(mesh.mesh, 'runs', Run);
      const unseenServices = ['prompts'];
      await entries.create(
        'r3',
        Run.create({ id: 'r3', name: 'r3', state: RunState.RUN_STATE_ENCODING, unseenServices }),
      );
      expect((await inProcess(['runs', 'show', 'r3'], env)).stdout).toMatch(
        /^waits for {2}no prompts service has been seen for 60 s$/m,
      );
      await entries.delete('r3');
    });

    test('a run and its data set are listed, shown and cancelled', async () => {
      const pictures = join(folder, 'pictures');
      await syntheticPictures(pictures, 1);
      const dataset = await client.createDataset({
        name: 'herons',
        width: 64,
        height: 64,
        files: [{ name: 'a.png', data: readFileSync(join(pictures, 'picture-00.png')) }],
      });
      const run = await client.startFinetune({ dataset: dataset.id, options: { totalSteps: 3 } });
      expect((await inProcess(['datasets'], env)).stdout).toMatch(
        new RegExp(`${dataset.id} +herons +uploaded +0 +64x64`),
      );
      expect((await inProcess(['runs'], env)).stdout).toMatch(new RegExp(`${run.id} +herons +queued +0/3`));
      const shown = JSON.parse((await inProcess(['runs', 'show', 'herons', '--json'], env)).stdout) as object;
      expect(shown).toMatchObject({
        id: run.id,
        status: 'queued',
        total_steps: 3,
        options: { rank: 4, learning_rate: 1e-4 },
      });
      await new StateStore(mesh.mesh, 'runs', Run).update(run.id, (noted) =>
        Object.assign(noted, { state: RunState.RUN_STATE_TRAINING, attempts: 2, preemptions: 3 }),
      );
      expect((await inProcess(['runs'], env)).stdout).toMatch(
        new RegExp(`${run.id} +herons +training, preempted 3× +0/3`),
      );
      const text = (await inProcess(['runs', 'show', 'herons'], env)).stdout;
      expect(text).toMatch(/^status {5}training, preempted 3×$/m);
      expect(text).toMatch(/^attempts {3}2 since its training state was last saved/m);
      expect(JSON.parse((await inProcess(['runs', 'show', 'herons', '--json'], env)).stdout)).toMatchObject({
        status: 'training',
        attempts: 2,
        preemptions: 3,
      });
      expect(await inProcess(['datasets', 'cancel', 'herons'], env)).toMatchObject({
        code: 0,
        stdout: `data set ${dataset.id} is cancelled\n`,
      });
      expect(JSON.parse((await inProcess(['datasets', 'show', 'herons', '--json'], env)).stdout)).toMatchObject({
        status: 'cancelled',
      });
      expect(await inProcess(['runs', 'cancel', 'herons'], env)).toMatchObject({
        code: 0,
        stdout: `run ${run.id} is asked to end\n`,
      });
      expect((await client.run(run.id)).cancelRequested).toBe(true);
    });
  });
});
