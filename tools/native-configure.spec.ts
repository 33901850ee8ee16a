// What the engine is configured for: again when a CUDA compiler or a card has come, which no earlier configuration may hide.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = join(__dirname, '..');
const TOOLS =
  'bash sh env cat cmake ninja cc c++ gcc g++ as ld ar ranlib nm strip realpath dirname sed tr grep sort paste uname mkdir';

jest.setTimeout(240_000);

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'atelier-configure-'));
  path = join(folder, 'bin');
  mkdirSync(path);
  for (const tool of TOOLS.split(' ')) {
    const found = execFileSync('bash', ['-c', `command -v ${tool} || true`], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    if (found.trim()) symlinkSync(found.trim(), join(path, tool));
  }
});
afterEach(() => rmSync(folder, { recursive: true }));

/** A program of this machine that says something and does nothing. */
const program = (name: string, says: string): void =>
  writeFileSync(join(path, name), `#!/bin/sh\ncat <<'END'\n${says}\nEND\n`, { mode: 0o755 });
const nvcc = (release: string): void => program('nvcc', `Cuda compilation tools, release ${release}, V${release}.88`);

const run = (file: string, args: string[], env: Record<string, string> = {}): string =>
  execFileSync(join(path, file), args, { encoding: 'utf8', env: { PATH: path, ...env } });

const configured = (env: Record<string, string> = {}): string => {
  const parts = ['ADDON', 'TESTS', 'BENCH'].map((part) => `-DATELIER_${part}=OFF`);
  const script = join(root, 'native', 'scripts', 'configure.sh');
  return run('bash', [script, join(folder, 'build'), '-DATELIER_CUDA_ROOTS=', ...parts], env);
};
const kinds = (): string | undefined =>
  /^CMAKE_CUDA_ARCHITECTURES:\w+=(.*)$/m.exec(readFileSync(join(folder, 'build', 'CMakeCache.txt'), 'utf8'))?.[1];

test('a CUDA compiler that comes, breaks or goes is seen by the next configuration, which says what it makes of it', () => {
  const none =
    'CPU only: no CUDA compiler of 12 or newer was found. Install CUDA 12 or newer with its compiler nvcc (https://developer.nvidia.com/cuda-downloads), then run npm run setup again\n';
  expect(configured()).toBe(none);
  nvcc('11.8');
  expect(configured()).toMatch(`CPU only: ${path}/nvcc is of CUDA 11.8, which is older than 12. Install CUDA 12`);
  nvcc('13.0'); // it says so, and compiles nothing
  expect(configured()).toMatch(`CPU only: ${path}/nvcc of CUDA 13.0 does not compile`);
  rmSync(join(path, 'nvcc'));
  expect(configured()).toBe(none);
});

test('the cards to build for are those that CUDAARCHS names, else those of this machine that can be used, else 8.0', () => {
  configured();
  expect(kinds()).toBe('80');
  program('nvidia-smi', '8.9\n7.5\n12.0\n8.9');
  configured();
  expect(kinds()).toBe('89;120');
  configured({ CUDAARCHS: '86;90' });
  expect(kinds()).toBe('86;90');
});

test('of several compilers the first that can be used is taken, also from where installers put one', () => {
  nvcc('11.8');
  const newer = join(folder, 'cuda-12.4', 'bin');
  mkdirSync(newer, { recursive: true });
  const script = join(folder, 'find.cmake');
  const find = join(root, 'native', 'cmake', 'find_nvcc.cmake');
  writeFileSync(script, `include(${find})\natelier_find_nvcc(a b c)\nmessage("\${a} | \${b} | \${c}")\n`);
  const found = (): string => {
    const command = `cmake -DATELIER_CUDA_ROOTS=${join(folder, 'cuda-12.4')} -P ${script} 2>&1`;
    return run('bash', ['-c', command]).trim();
  };
  expect(found()).toBe(`|  | ${path}/nvcc is of CUDA 11.8, which is older than 12`);
  writeFileSync(join(newer, 'nvcc'), '#!/bin/sh\necho release 12.4, V12.4.1\n', { mode: 0o755 });
  expect(found()).toBe(`${newer}/nvcc | 12.4 |`);
});
