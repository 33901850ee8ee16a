// Keeps the engine's header of train options in step with their declaration in proto/. It is committed, so that native/ builds without Node.
// node tools/options-header.mjs says whether it differs; --write mends it.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { declaredOptions } from './options/declared.mjs';
import { headerOf } from './options/header.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const HEADER = 'native/include/atelier/train_options.h';
const path = join(root, HEADER);

const wanted = headerOf(declaredOptions(join(root, 'proto')));
const same = existsSync(path) && readFileSync(path, 'utf8') === wanted;
const write = process.argv.includes('--write');
if (write && !same) writeFileSync(path, wanted);
if (same || write) {
  console.log(`train options: ${HEADER} ${same ? 'is as declared' : 'written'}`);
} else {
  console.error(`train options: ${HEADER} is not what proto/ declares: run "node tools/options-header.mjs --write"`);
  process.exit(1);
}
