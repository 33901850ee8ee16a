// The list of settings against what reads them and what tells of them.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SETTINGS, TOOL_SETTINGS } from '@atelier/mesh';

const root = join(__dirname, '..');
const LIST = 'libs/mesh/src/settings.ts';
const files = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], { cwd: root, encoding: 'utf8' })
  .split('\n')
  .filter((file) => /\.(ts|[cm]js|sh|ya?ml|env|md|cpp|h)$|Dockerfile$/.test(file) && !/\.spec\.ts$/.test(file))
  .filter((file) => file !== LIST);

/** A macro of the native sources or an option of their build, no variable of the environment. */
const NATIVE = /^ATELIER_(CUDA|CUBLASLT_|HD$|FAKE_|ISA$|LANES$|GOLDENS$|WITH_CUDA$)/;

function mentions(file: string): string[] {
  // Not behind a letter: -DATELIER_CUDA=ON is CMake's.
  const names = readFileSync(join(root, file), 'utf8').match(/(?<![A-Za-z_])ATELIER_[A-Z0-9_]*[A-Z0-9]/g) ?? [];
  return names.filter((name) => !NATIVE.test(name));
}

const known = [...SETTINGS, ...TOOL_SETTINGS];
const mentioned = new Map(files.map((file) => [file, mentions(file)]));
const among = (wanted: (file: string) => boolean): Set<string> =>
  new Set([...mentioned].flatMap(([file, names]) => (wanted(file) ? names : [])));

describe('the settings', () => {
  test('are all in the list of libs/mesh that are read, set or told of anywhere', () => {
    const unknown = [...mentioned].flatMap(([file, names]) =>
      names.filter((name) => !known.includes(name)).map((name) => `${file}: ${name}`),
    );
    expect(unknown).toEqual([]);
  });

  test('are each read by something', () => {
    const read = among((file) => !file.endsWith('.md'));
    expect(known.filter((name) => !read.has(name) && !inSpecs(name))).toEqual([]);
  });

  test('are each told of in a document, but for those of tests and tools', () => {
    const told = among((file) => file.endsWith('.md') || file === 'cli/src/settings.ts');
    expect(SETTINGS.filter((name) => !told.has(name))).toEqual([]);
  });

  test('are in order, each once', () => {
    for (const list of [SETTINGS, TOOL_SETTINGS]) expect(list).toEqual([...new Set(list)].sort());
  });
});

/** Tests' own settings are read by specs. */
function inSpecs(name: string): boolean {
  if (!TOOL_SETTINGS.includes(name)) return false;
  const { length } = execFileSync('git', ['grep', '-l', name, '--', '*.spec.ts'], { cwd: root, encoding: 'utf8' });
  return length > 0;
}
