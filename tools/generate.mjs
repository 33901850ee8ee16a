// Writes what is generated before anything is compiled: protobuf's classes, and the table of train options that is declared with them; both
// where what they are made from is newer.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { declaredOptions } from './options/declared.mjs';
import { messageFiles, PROTO } from './options/proto.mjs';
import { tableOf, typesOf } from './options/typescript.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const bin = (name) => join(root, 'node_modules', '.bin', name);
const run = (command, ...args) => {
  try {
    execFileSync(command, args, { cwd: root, stdio: 'inherit' });
  } catch (error) {
    process.exit(error.status ?? 1); // the compiler has said what is wrong
  }
};

const gen = join(root, 'libs', 'contracts', 'gen');
const makers = [join(root, 'tools', 'generate.mjs'), ...filesOf(join(root, 'tools', 'options'))];
const protos = messageFiles();
const newest = newestOf([...makers, ...protos, join(PROTO, 'atelier', 'options.proto')]);
mkdirSync(gen, { recursive: true });

const messages = join(gen, 'messages');
if (isOld(`${messages}.d.ts`)) {
  const style = ['-t', 'static-module', '-w', 'commonjs', '--force-number', '--no-verify', '--no-delimited'];
  // --sparse leaves out what only declares options: descriptor.proto and options.proto.
  run(bin('pbjs'), ...style, '--sparse', '-p', PROTO, '-o', `${messages}.js`, ...protos);
  run(bin('pbts'), '-o', `${messages}.d.ts`, `${messages}.js`);
}

const table = join(gen, 'train-options');
if (isOld(`${table}.d.ts`)) {
  const options = declaredOptions();
  writeFileSync(`${table}.js`, tableOf(options));
  writeFileSync(`${table}.d.ts`, typesOf(options));
}

function filesOf(folder) {
  return readdirSync(folder).map((name) => join(folder, name));
}

function newestOf(paths) {
  return Math.max(...paths.map((path) => statSync(path).mtimeMs));
}

function isOld(file) {
  return !existsSync(file) || statSync(file).mtimeMs < newest;
}
