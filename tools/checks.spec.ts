// The checks of the house on trees made for them: what they refuse, and that they say where and why.
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const REPOSITORY = join(__dirname, '..');
const manifest = (name: string, more: object = {}): string => JSON.stringify({ name: `@atelier/${name}`, ...more });
const on = (...names: string[]): object => Object.fromEntries(names.map((name) => [`@atelier/${name}`, '0.1.0']));

const SOUND: Record<string, string> = {
  'libs/contracts/package.json': manifest('contracts'),
  'libs/contracts/src/index.ts': 'export const names = [];\n',
  'libs/mesh/package.json': manifest('mesh', {
    dependencies: { ...on('contracts'), nats: '^2' },
    devDependencies: on('testing'),
  }),
  'libs/mesh/src/index.ts':
    "import { names } from '@atelier/contracts';\nimport { connect } from 'nats';\nexport { connect, names };\n",
  'libs/mesh/test/mesh.spec.ts':
    "import { names } from '../src';\nimport { wait } from '@atelier/testing';\nvoid [names, wait];\n",
  'libs/testing/package.json': manifest('testing'),
  'libs/testing/src/index.ts': 'export const wait = 1;\n',
  'services/trainer/package.json': manifest('trainer', { dependencies: on('mesh') }),
  'services/trainer/src/main.ts': "import '@atelier/mesh';\n",
  'native/src/floors.txt': 'base\n',
  'native/src/base/error.h': '',
  'deploy/docker/Dockerfile': 'FROM scratch\nCOPY cli/package.json cli/\nRUN npm ci\n',
};

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'atelier-checks-'));
  execFileSync('git', ['init', '-q', root]);
  cpSync(join(REPOSITORY, 'tools'), join(root, 'tools'), {
    recursive: true,
    filter: (path) => !path.endsWith('.spec.ts'),
  });
  symlinkSync(join(REPOSITORY, 'node_modules'), join(root, 'node_modules'));
  write({ '.gitignore': 'node_modules\ntools\ndist\n', ...SOUND });
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function write(files: Record<string, string>): void {
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(join(root, dirname(file)), { recursive: true });
    writeFileSync(join(root, file), text);
  }
}

function run(script: string, ...args: string[]): { code: number | null; said: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'tools', script), ...args], {
    cwd: root,
    encoding: 'utf8',
  });
  return { code: status, said: stdout + stderr };
}

describe('boundaries', () => {
  const check = (files: Record<string, string>) => {
    write(files);
    return run('check-boundaries.mjs');
  };

  it('let pass what keeps to package.json', () => {
    const { code, said } = check({});
    expect(said).toMatch(/boundaries kept/);
    expect(code).toBe(0);
  });

  it.each<[string, Record<string, string>, RegExp]>([
    [
      'an import that package.json does not name',
      { 'libs/contracts/src/index.ts': "import '@atelier/mesh';\n" },
      /libs\/contracts\/src\/index\.ts: imports @atelier\/mesh/,
    ],
    [
      'a library of others that package.json does not name',
      { 'services/trainer/src/main.ts': "import '@atelier/mesh';\nimport 'sharp';\n" },
      /imports sharp, which services\/trainer\/package\.json/,
    ],
    [
      'a test library in a source',
      { 'libs/mesh/src/more.ts': "import '@atelier/testing';\n" },
      /libs\/mesh\/src\/more\.ts: imports @atelier\/testing/,
    ],
    [
      'a path into another package',
      { 'services/trainer/src/main.ts': "import '@atelier/mesh';\nimport '../../../libs/mesh/src';\n" },
      /reaches into libs\/mesh by a path/,
    ],
    [
      'a dependency on a service',
      { 'libs/testing/package.json': manifest('testing', { dependencies: on('trainer') }) },
      /services and cli are imported by nobody/,
    ],
    [
      'a dependency that nothing imports',
      { 'libs/testing/package.json': manifest('testing', { dependencies: on('contracts') }) },
      /depends on @atelier\/contracts, which nothing there imports/,
    ],
    [
      'packages that depend on each other',
      { 'libs/contracts/package.json': manifest('contracts', { dependencies: on('mesh') }) },
      /these packages depend on each other/,
    ],
    [
      'a circle of files',
      {
        'libs/contracts/src/a.ts': "import type { B } from './b';\nexport type A = B;\n",
        'libs/contracts/src/b.ts': "import type { A } from './a';\nexport type B = A;\n",
      },
      /a\.ts → libs\/contracts\/src\/b\.ts → libs\/contracts\/src\/a\.ts: a circle/,
    ],
  ])('refuse %s', (_what, files, reason) => {
    const { code, said } = check(files);
    expect(said).toMatch(reason);
    expect(code).toBe(1);
  });
});

it('what is drawn from the graph is missed, then written, then in step', () => {
  expect(run('graph.mjs')).toMatchObject({
    code: 1,
    said: expect.stringMatching(/deploy\/docker\/Dockerfile is not what package.json says/),
  });
  expect(run('graph.mjs', '--write').code).toBe(0);
  expect(run('graph.mjs').code).toBe(0);
  expect(readFileSync(join(root, 'libs/mesh/tsconfig.build.json'), 'utf8')).toContain(
    '"references": [{ "path": "../contracts/tsconfig.build.json" }]',
  );
  expect(readFileSync(join(root, 'deploy/docker/Dockerfile'), 'utf8')).toContain(
    'COPY libs/testing/package.json libs/testing/\nCOPY services/trainer',
  );
});

describe("a project's specs", () => {
  const specs = (files: Record<string, string>) => {
    cpSync(join(REPOSITORY, 'jest.config.js'), join(root, 'jest.config.js'));
    write(
      Object.fromEntries(Object.entries(files).map(([name, text]) => [`libs/contracts/test/${name}.spec.ts`, text])),
    );
    const { code, said } = run('test/jest.mjs', 'contracts', 'libs/contracts');
    return {
      code,
      said,
      result: JSON.parse(readFileSync(join(root, 'dist/test-results/contracts/test.json'), 'utf8')) as object,
    };
  };

  it('are counted case by case', () => {
    const { code, result } = specs({ good: "test.each([1, 2, 3])('%s', (n) => expect(n).toBeGreaterThan(1));\n" });
    expect(result).toMatchObject({ passed: 2, failed: 1, lost: [] });
    expect(code).toBe(1);
  });

  it('that cannot be loaded are a failure', () => {
    expect(
      specs({ good: "test('is', () => expect(1).toBe(1));\n", broken: "import './nothing';\n" }).result,
    ).toMatchObject({ passed: 1, failed: 1 });
  });

  it('that a crash took along are named, and what was found before it counts', () => {
    // jest runs what failed before first, then by size: the short file is over when the long one ends the process.
    const crash = `test('ends', () => void process.kill(process.pid, 'SIGKILL'));\n`;
    const { code, said, result } = specs({
      good: `// ${'x'.repeat(500)}\ntest('is', () => expect(1).toBe(1));\n`,
      crash,
    });
    expect(result).toMatchObject({ passed: 1, failed: 1, lost: ['libs/contracts/test/crash.spec.ts'] });
    expect(said).toMatch(/crash\.spec\.ts was lost/);
    expect(code).toBe(1);
  });

  it('that fail are asked once more: what passes then is named as unsteady, what fails again has failed', () => {
    const file = 'libs/contracts/test/wavers.spec.ts';
    const seen = JSON.stringify(join(root, 'seen'));
    const { code, result } = specs({
      wavers: `const { existsSync, writeFileSync } = require('node:fs');
        test('wavers', () => {
          const before = existsSync(${seen});
          writeFileSync(${seen}, '');
          expect(before).toBe(true);
        });
        test('is', () => expect(1).toBe(1));\n`,
      wrong: "test('is two', () => expect(1).toBe(2));\n",
    });
    expect(result).toMatchObject({
      passed: 2,
      failed: 1,
      failures: [{ file: 'libs/contracts/test/wrong.spec.ts', title: 'is two' }],
      unsteady: [{ file, title: 'wavers', message: expect.stringContaining('Expected: true') as string }],
    });
    expect(code).toBe(1);
    expect(specs({ wrong: "test('is one', () => expect(1).toBe(1));\n" })).toMatchObject({
      code: 0,
      result: { passed: 3, failed: 0, failures: [], unsteady: [] },
    });
  });
});

describe('a script that counts its cases', () => {
  const counted = (script: string) => {
    const { code } = run('test/counted.mjs', 'native', 'test', 'bash', '-c', script);
    return {
      code,
      result: JSON.parse(readFileSync(join(root, 'dist/test-results/native/test.json'), 'utf8')) as object,
    };
  };

  it.each<[string, string, number, number, number]>([
    ['all good', 'echo noise; echo "12 passed, 0 failed"', 12, 0, 0],
    ['some failed', 'echo "10 passed, 2 failed"; exit 1', 10, 2, 1],
    ['a bad end after good counts', 'echo "10 passed, 0 failed"; exit 3', 10, 1, 1],
    ['no counts at all', 'kill -SEGV $$', 0, 1, 1],
  ])('%s', (_what, script, passed, failed, code) => {
    expect(counted(script)).toMatchObject({ code, result: { passed, failed } });
  });
});
