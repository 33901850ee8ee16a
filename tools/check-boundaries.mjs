// Keeps the arrows of the layout: services, cli → libs → contracts; engine → native/addon → native/include → native/src, and there the floors of
// native/src/floors.txt. Also: no path of someone's machine in a tracked file.
// check-boundaries.mjs [--count] [--root DIR]   --count: figures alone, exit code 0
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { checkNative } from './native-boundaries.mjs';

const { values: options } = parseArgs({ options: { count: { type: 'boolean', default: false }, root: { type: 'string' } } });
const root = options.root ?? join(dirname(fileURLToPath(import.meta.url)), '..');
const files = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], { cwd: root, encoding: 'utf8', maxBuffer: 64 << 20 }).split('\n').filter(Boolean);
const problems = [];

// What each library may import of the others. Data runs one way; a new arrow is a decision.
const allowed = {
  contracts: [],
  mesh: ['contracts'],
  store: ['contracts', 'mesh'],
  lease: ['contracts', 'mesh'],
  checkpoint: ['contracts'],
  engine: ['contracts', 'checkpoint'],
  client: ['contracts', 'checkpoint', 'mesh', 'store'],
  drawing: ['contracts', 'checkpoint', 'engine', 'mesh', 'store'],
  testing: ['contracts', 'mesh', 'store', 'checkpoint', 'client'],
};

for (const file of files) {
  let text;
  const source = /\.(ts|mjs|js|cpp|h|inl|cu|cmake|sh|yaml|yml|json|md|proto|py)$/.test(file);
  if (!source) continue;
  try {
    text = readFileSync(join(root, file), 'utf8');
  } catch {
    continue; // deleted, not committed yet
  }
  if (file.endsWith('.ts')) checkTypeScript(file, text);
  const machine = text.match(/(^|[\s"'(=])(\/home\/\w+|\/work\/\w+)/m);
  if (machine && file !== 'tools/check-boundaries.mjs') problems.push(`${file}: names ${machine[2]}, a path of one machine`);
}

function checkTypeScript(file, text) {
  const [part, name] = file.split('/');
  const isTest = /\.spec\.ts$|(^|\/)test\//.test(file);
  for (const [, target] of text.matchAll(/(?:from|import\(|require\()\s*['"]([^'"]+)['"]/g)) {
    const lib = target.match(/^@atelier\/([\w-]+)/)?.[1];
    if (lib && !(lib in allowed)) problems.push(`${file}: imports ${target}; services and cli are imported by nobody`);
    if (lib && part === 'libs' && lib !== name && !isTest && !allowed[name]?.includes(lib)) problems.push(`${file}: libs/${name} may not import ${target}`);
    if (lib === 'testing' && !isTest && part !== 'libs') problems.push(`${file}: ${target} is for tests only`);
    if (target.startsWith('.')) {
      const reached = posix.normalize(posix.join(posix.dirname(file), target)).split('/').slice(0, 2).join('/');
      const own = file.split('/').slice(0, part === 'cli' || part === 'test' || part === 'tools' ? 1 : 2).join('/');
      if (!reached.startsWith(own)) problems.push(`${file}: reaches into ${reached} by a path; import the package`);
    }
  }
}

const native = checkNative(root, files);
problems.push(...native.problems);
if (options.count) {
  console.log(native.counts);
  process.exit(0);
}

for (const problem of problems) console.error(`boundary: ${problem}`);
console.log(problems.length ? `${problems.length} boundaries crossed` : `boundaries kept in ${files.length} files`);
process.exit(problems.length ? 1 : 0);
