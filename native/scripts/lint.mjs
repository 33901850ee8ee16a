// Looks for bugs in the engine's sources with clang-tidy, by native/.clang-tidy.
// lint.sh [--all | FILE…]
//   without: the sources that a branch's changes reach: since it left main, or on main itself by the last commit
//   --all: every source    FILE…: these
// All of it takes minutes, so a source without findings is remembered by what it and the headers it includes hold.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';

const NATIVE = resolve(import.meta.dirname, '..');
const ROOT = dirname(NATIVE);
const BUILD = join(NATIVE, 'build-tidy'); // never built: it only says how each source is compiled
const INCLUDED_FROM = ['src', 'include', 'test', 'test/ops/emulator', 'addon', 'bench'].map((part) =>
  join(NATIVE, part),
);
const MAJOR = 19; // versions find different things: Debian 12 and 13 have this one

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { all: { type: 'boolean', default: false } },
});

function stop(reason) {
  console.error(`lint: ${reason}`);
  process.exit(1);
}

function findClangTidy() {
  for (const program of [`clang-tidy-${MAJOR}`, 'clang-tidy']) {
    const version = spawnSync(program, ['--version'], { encoding: 'utf8' }).stdout?.match(/version (\d+)\.[\d.]+/);
    if (Number(version?.[1]) === MAJOR) return { program, version: version[0] };
  }
  stop(`clang-tidy ${MAJOR} is not installed: apt-get install clang-tidy-${MAJOR}`);
}

// How each source is compiled: the CUDA backend for the emulator, which is C++.
function compileCommands() {
  const configure = ['-S', NATIVE, '-B', BUILD, '-G', 'Ninja', '-DATELIER_CUDA=OFF', '-DATELIER_WERROR=OFF'];
  const { status, stdout, stderr } = spawnSync('cmake', configure, { encoding: 'utf8' });
  if (status !== 0) stop(`cmake could not configure native/:\n${stdout ?? ''}${stderr ?? ''}`);
  const commands = JSON.parse(readFileSync(join(BUILD, 'compile_commands.json'), 'utf8'));
  return new Map(commands.map(({ file, command }) => [file, command]));
}

// The file and all of ours that it includes, through others too.
function closure(file, seen = new Set()) {
  if (seen.has(file)) return seen;
  seen.add(file);
  for (const [, target] of readFileSync(file, 'utf8').matchAll(/^\s*#\s*include\s*["<]([^">]+)[">]/gm)) {
    const found = [dirname(file), ...INCLUDED_FROM].map((folder) => join(folder, target)).find(existsSync);
    if (found && /\.\w+$/.test(found)) closure(found, seen);
  }
  return seen;
}

function changedFiles() {
  const git = (...args) =>
    execFileSync('git', args, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  try {
    const head = git('rev-parse', 'HEAD').trim();
    const main = ['origin/HEAD', 'origin/main', 'main'].find(
      (name) => spawnSync('git', ['rev-parse', '-q', '--verify', name], { cwd: ROOT }).status === 0,
    );
    const left = main ? git('merge-base', 'HEAD', main).trim() : head;
    const base = left === head ? 'HEAD~1' : left;
    const names =
      git('diff', '--name-only', base, '--', 'native') + git('ls-files', '-o', '--exclude-standard', '--', 'native');
    return new Set(
      names
        .split('\n')
        .filter(Boolean)
        .map((name) => join(ROOT, name)),
    );
  } catch {
    return undefined; // no repository, or its first commit: nothing is known to be unchanged
  }
}

function chosen(sources) {
  if (positionals.length) {
    const files = positionals.map((file) => resolve(file));
    for (const file of files)
      if (!sources.includes(file)) stop(`${relative('.', file)} is compiled by no target of native/`);
    return files;
  }
  const changed = options.all ? undefined : changedFiles();
  if (!changed || [...changed].some((file) => file.endsWith('.clang-tidy'))) return sources;
  return sources.filter((file) => [...closure(file)].some((each) => changed.has(each)));
}

function digest(...parts) {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part).update('\0');
  return hash.digest('hex');
}

const tidy = findClangTidy();
const commands = compileCommands();
const files = chosen([...commands.keys()].sort());
const cache = join(BUILD, 'clean');
mkdirSync(cache, { recursive: true });

const config = ['.clang-tidy', 'test/.clang-tidy'].map((file) => readFileSync(join(NATIVE, file), 'utf8')).join('');
let remembered = 0;
const work = files.flatMap((file) => {
  const contents = [...closure(file)].map((each) => readFileSync(each));
  const key = join(cache, digest(tidy.version, config, commands.get(file), ...contents));
  if (!existsSync(key)) return [{ file, key }];
  remembered += 1;
  return [];
});

const found = [];
function check({ file, key }) {
  return new Promise((done) => {
    const run = spawn(tidy.program, ['-p', BUILD, '--quiet', file], { stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    for (const stream of [run.stdout, run.stderr]) stream.on('data', (text) => (said += text));
    run.once('error', (error) => stop(`${tidy.program}: ${error.message}`));
    run.once('close', (code) => {
      if (code === 0) writeFileSync(key, file);
      else found.push(relative(ROOT, file));
      if (code !== 0) console.error(said.replace(/^\d+ warnings?.*\n/gm, ''));
      done();
    });
  });
}

const workers = Array.from({ length: availableParallelism() }, async () => {
  for (let next = work.pop(); next; next = work.pop()) await check(next);
});
await Promise.all(workers);
console.log(`lint: ${files.length} native sources, ${remembered} of them unchanged since they were last clean`);
if (found.length) stop(`clang-tidy finds something in ${found.sort().join(', ')}`);
