// What a person reads of a card in five situations, as whole programs say it: the addons that the native tests come with stand in for
// machines of each kind, and a folder for what their files tell of a card.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { repositoryRoot, tinyCheckpoint, waitFor } from '@atelier/testing';
import { cli, startCli, type Ended } from './run-cli';

const BUILD = join(repositoryRoot, 'native', 'build');
const PRESENT = 'an NVIDIA card \\(PCI 0000:01:00.0, device 0x2684\\)';
const MEANT = 'ATELIER_COMPUTE=cpu says that this is meant';

interface Situation {
  name: string;
  addon: 'atelier_cpu' | 'atelier_emulated';
  /** Whether the machine's bus has a card. */
  card: boolean;
  env?: Record<string, string>;
  doctor: { code: number; engine: RegExp; gpu: RegExp };
  /** In `up`, every status and on the page; undefined: `up` ends with it as an error. */
  up: { device?: string; engine?: string; note?: RegExp; error?: RegExp };
}

const noDriver = 'CUDA: no NVIDIA driver was found: install one for CUDA 13.0 or newer';
const noBuild =
  'this build has no CUDA backend. Install CUDA 12 or newer with its compiler nvcc, run npm run setup again';

const situations: Situation[] = [
  {
    name: 'no card',
    addon: 'atelier_cpu',
    card: false,
    doctor: {
      code: 0,
      engine: /^ok {4}engine {7}cpu \w+, \d+ threads? \(no CUDA in this build\)$/m,
      gpu: /^note {2}gpu {10}no NVIDIA GPU found: everything is computed on the CPU$/m,
    },
    up: { device: 'cpu', engine: 'no CUDA' },
  },
  {
    name: 'a card, and an engine without CUDA',
    addon: 'atelier_cpu',
    card: true,
    doctor: {
      code: 1,
      engine: /^ok {4}engine {7}cpu \w+, \d+ threads? \(no CUDA in this build\)$/m,
      gpu: new RegExp(`^FAIL  gpu {10}${PRESENT} is there, and the engine cannot use it: .*${noBuild}.*${MEANT}$`, 'm'),
    },
    up: {
      device: 'cpu',
      engine: 'no CUDA',
      note: new RegExp(`^the CPU computes although ${PRESENT} is there: .*${noBuild}.*${MEANT}$`),
    },
  },
  {
    name: 'a card, and no driver',
    addon: 'atelier_emulated',
    card: true,
    env: { EMULATED_CARD: 'no driver' },
    doctor: {
      code: 1,
      engine: /^ok {4}engine {7}cpu \w+, \d+ threads? \(CUDA 13\.0 for 8\.0, 8\.9 in this build\)$/m,
      gpu: new RegExp(`^FAIL  gpu {10}${PRESENT} is there, and the engine cannot use it: ${noDriver}.*${MEANT}$`, 'm'),
    },
    up: {
      device: 'cpu',
      engine: 'CUDA 13.0 for 8.0, 8.9',
      note: new RegExp(`^the CPU computes although ${PRESENT} is there: ${noDriver}.*${MEANT}$`),
    },
  },
  {
    name: 'ATELIER_COMPUTE=cuda, and no card',
    addon: 'atelier_emulated',
    card: false,
    env: { EMULATED_CARD: 'no driver', ATELIER_COMPUTE: 'cuda' },
    doctor: {
      code: 1,
      engine: new RegExp(`^FAIL  engine {7}ATELIER_COMPUTE=cuda: ${noDriver}.*set ATELIER_COMPUTE to auto or cpu`, 'm'),
      gpu: /^FAIL {2}gpu {10}no NVIDIA card found, and ATELIER_COMPUTE=cuda asks for one$/m,
    },
    up: { error: new RegExp(`^atelier: ATELIER_COMPUTE is "cuda", which cannot be had here: ${noDriver}`, 'm') },
  },
  {
    name: 'a card that computes',
    addon: 'atelier_emulated',
    card: true,
    env: { ATELIER_CUBLASLT: join(BUILD, 'test', 'libfake_cublaslt.so') },
    doctor: {
      code: 0,
      engine: /^ok {4}engine {7}cuda: Emulated card, 1 GB \(CUDA 13\.0 for 8\.0, 8\.9 in this build\)$/m,
      gpu: new RegExp(`^ok    gpu {10}${PRESENT}: used$`, 'm'),
    },
    up: { device: 'cuda: Emulated card, 1 GB', engine: 'CUDA 13.0 for 8.0, 8.9' },
  },
];

jest.setTimeout(180_000);

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});

/** The environment of such a machine, with a folder of its own. */
function machine({ addon, card, env }: Situation): Record<string, string> {
  const folder = mkdtempSync(join(tmpdir(), 'atelier-situation-'));
  folders.push(folder);
  const bin = join(folder, 'bin');
  mkdirSync(bin);
  writeFileSync(join(bin, 'nvidia-smi'), '#!/bin/sh\nexit 9\n', { mode: 0o755 }); // this machine's own must not answer
  if (card) {
    const device = join(folder, 'root', 'sys', 'bus', 'pci', 'devices', '0000:01:00.0');
    mkdirSync(device, { recursive: true });
    for (const [file, text] of Object.entries({ vendor: '0x10de', class: '0x030000', device: '0x2684' }))
      writeFileSync(join(device, file), `${text}\n`);
  }
  return {
    ATELIER_ADDON_PATH: join(BUILD, 'addon', `${addon}.node`),
    ATELIER_CARD_ROOT: join(folder, 'root'),
    ATELIER_DATA: join(folder, 'data'),
    ATELIER_MODEL: tinyCheckpoint(),
    ATELIER_TEXT_TOKENS: '32',
    ATELIER_HTTP_PORT: '0',
    PATH: `${bin}:${process.env.PATH}`,
    ...env,
  };
}

test.each(situations)('doctor: $name', async (situation) => {
  const { code, stdout }: Ended = await cli(['doctor'], machine(situation));
  expect(stdout).toMatch(situation.doctor.engine);
  expect(stdout).toMatch(situation.doctor.gpu);
  expect(code).toBe(situation.doctor.code);
});

test.each(situations.filter(({ up }) => !up.error))(
  'up, every status, and what the page asks: $name',
  async (situation) => {
    const { up } = situation;
    const run = startCli(['up', '--json'], machine(situation));
    try {
      const line = await waitFor('up', () => lineOf(run.stdout(), '"type":"up"') ?? ended(run.child.exitCode), 120_000);
      const { gateway } = JSON.parse(line) as { gateway: string };
      const said = run.stderr().split('\n');
      expect(said).toContain(`computes on    ${up.device} (${up.engine} in this build)`);
      const notes = said.filter((text) => text.includes('the CPU computes although'));
      expect(notes).toHaveLength(up.note ? 1 : 0);
      const info = (await (await fetch(`${gateway}/v1/info`)).json()) as {
        services: { name: string; computing: { device: string; note: string | null } | null }[];
        notes: string[];
      };
      const computing = info.services.flatMap((service) => service.computing ?? []);
      expect(computing).toHaveLength(4);
      for (const { device, note } of computing) {
        expect(device).toBe(up.device);
        expect(note ?? '').toMatch(up.note ?? /^$/);
      }
      expect(info.notes).toHaveLength(up.note ? 1 : 0);
    } finally {
      run.child.kill('SIGTERM');
      await run.ended;
    }
  },
);

test.each(situations.filter(({ up }) => up.error))('up ends before anything is started: $name', async (situation) => {
  const { code, stderr } = await cli(['up'], machine(situation));
  expect(stderr).toMatch(situation.up.error!);
  expect(stderr).not.toContain('nats-server');
  expect(code).not.toBe(0);
});

test("doctor --card tries every family of the card's kernels, and keeps what came of it", async () => {
  const env = machine(situations.find(({ name }) => name === 'a card that computes')!);
  const { code, stdout } = await cli(['doctor', '--card'], env);
  expect(stdout).toMatch(/^ok {4}card {9}11 families of kernels compute what the CPU does, within \d/m);
  expect(code).toBe(0);
  const folder = join(env.ATELIER_DATA!, 'cards');
  const [kept, ...others] = readdirSync(folder);
  expect(others).toEqual([]);
  const { findings } = JSON.parse(readFileSync(join(folder, kept!), 'utf8')) as { findings: { agrees: boolean }[] };
  expect(findings.map(({ agrees }) => agrees)).toEqual(Array(11).fill(true));
});

test('doctor --card, without a card: there is none to check', async () => {
  const { code, stdout } = await cli(['doctor', '--card'], machine(situations[0]!));
  expect(stdout).toMatch(/^note {2}card {9}the CPU computes: there is no card to check$/m);
  expect(code).toBe(0);
});

const lineOf = (text: string, part: string): string | undefined => text.split('\n').find((line) => line.includes(part));

function ended(code: number | null): undefined {
  if (code !== null) throw new Error(`up ended with ${code}`);
}
