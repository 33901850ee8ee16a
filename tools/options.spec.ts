// What is made of the declaration of train options, on copies of it: slips are named, and what was made is held to it.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const REPOSITORY = join(__dirname, '..');
const PROTO = 'proto/atelier/v1/training.proto';
const HEADER = 'native/include/atelier/train_options.h';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'atelier-options-'));
  for (const part of ['proto', 'tools', HEADER]) cpSync(join(REPOSITORY, part), join(root, part), { recursive: true });
  symlinkSync(join(REPOSITORY, 'node_modules'), join(root, 'node_modules'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const read = (file: string): string => readFileSync(join(root, file), 'utf8');

function change(before: string, after: string): void {
  const text = read(PROTO);
  expect(text).toContain(before);
  writeFileSync(join(root, PROTO), text.replace(before, after));
}

function run(script: string, ...args: string[]): { code: number | null; said: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'tools', script), ...args], {
    cwd: root,
    encoding: 'utf8',
  });
  return { code: status, said: stdout + stderr };
}

test('the header that is committed is what is declared', () => {
  expect(run('options-header.mjs')).toMatchObject({ code: 0, said: expect.stringContaining('is as declared') });
});

test('another default or limit is another header, said and mended', () => {
  change('default_value: "4" min: 1 max: 1024', 'default_value: "8" min: 2 max: 512');
  const { code, said } = run('options-header.mjs');
  expect(said).toMatch(/is not what proto\/ declares: run "node tools\/options-header\.mjs --write"/);
  expect(code).toBe(1);
  expect(read(HEADER)).toContain('int64_t rank = 4;');
  expect(run('options-header.mjs', '--write').code).toBe(0);
  expect(read(HEADER)).toContain('int64_t rank = 8;');
  expect(read(HEADER)).toContain('.name = "rank", .min = 2, .max = 512}');
  expect(run('options-header.mjs').code).toBe(0);
});

test('a new option is in the table, its types and the header', () => {
  change(
    '  // As 0.1.0 spelled the enums',
    `  optional double dropout = 50 [(atelier.option) = {
    default_value: "0.25" min: 0 max: 1 below_max: true group: "Adapter" reader: READER_TRAINER
    help: "Share of inputs that are left out."
  }];

  // As 0.1.0 spelled the enums`,
  );
  expect(run('generate.mjs')).toEqual({ code: 0, said: '' });
  expect(read('libs/contracts/gen/train-options.d.ts')).toContain('  dropout: number;');
  expect(read('libs/contracts/gen/train-options.js')).toMatch(/"name": "dropout",[^}]*"default": 0\.25,/);
  expect(read('libs/contracts/gen/messages.d.ts')).toContain('dropout?: (number|null);');
  expect(read('libs/contracts/gen/messages.js')).not.toMatch(/FileDescriptor|READER_TRAINER/);
  run('options-header.mjs', '--write');
  expect(read(HEADER)).toContain('double dropout = 0.25;');
}, 60_000);

test.each([
  [
    'a default out of its range',
    'default_value: "4" min: 1',
    'default_value: "0" min: 1',
    /rank: its default 0 is out of/,
  ],
  ['a default that is no value', 'default_value: "nf4"', 'default_value: "nf5"', /quant: its default nf5 is no value/],
  ['a default of another type', 'default_value: "true"', 'default_value: "yes"', /recompute: it has no default_value/],
  ['half a step', 'default_value: "28"', 'default_value: "28.5"', /validation_steps: its default 28\.5 is no whole/],
  ['no help', 'help: "Peak learning rate."', '', /learning_rate: its help is no sentence/],
  ['no group', 'group: "Memory" reader: READER_WEIGHTS', 'reader: READER_WEIGHTS', /quant: it belongs to no group/],
  ['a default of none', 'default_from: "rank"', 'default_from: "rang"', /alpha: its default is not that of another/],
  ['a flag of two', 'flag: "warmup"', 'flag: "steps"', /steps: two options are called so/],
  [
    'no declaration at all',
    /optional uint32 rank = 1 \[[^\]]*\];/,
    'optional uint32 rank = 1;',
    /rank says no \(atelier/,
  ],
])('a declaration with %s is refused by name', (_what, before, after, problem) => {
  if (typeof before === 'string') change(before, after);
  else writeFileSync(join(root, PROTO), read(PROTO).replace(before, after));
  const { code, said } = run('options-header.mjs');
  expect(said).toMatch(problem);
  expect(code).not.toBe(0);
});
