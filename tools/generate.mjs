// Writes what is generated before anything is compiled: protobuf's classes, when a .proto is newer than they are.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const bin = (name) => join(root, 'node_modules', '.bin', name);
const run = (command, ...args) => {
  try {
    execFileSync(command, args, { cwd: root, stdio: 'inherit' });
  } catch (error) {
    process.exit(error.status ?? 1); // the compiler has said what is wrong
  }
};

const folder = join(root, 'proto', 'atelier', 'v1');
const protos = readdirSync(folder)
  .filter((name) => name.endsWith('.proto'))
  .map((name) => join(folder, name));
const generated = join(root, 'libs', 'contracts', 'gen', 'messages');
const newest = Math.max(...protos.map((path) => statSync(path).mtimeMs));
if (!existsSync(`${generated}.d.ts`) || statSync(`${generated}.d.ts`).mtimeMs < newest) {
  mkdirSync(dirname(generated), { recursive: true });
  run(
    bin('pbjs'),
    '-t',
    'static-module',
    '-w',
    'commonjs',
    '--force-number',
    '--no-verify',
    '--no-delimited',
    '-p',
    join(root, 'proto'),
    '-o',
    `${generated}.js`,
    ...protos,
  );
  run(bin('pbts'), '-o', `${generated}.d.ts`, `${generated}.js`);
}
