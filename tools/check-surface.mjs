// Keeps the descriptions of the engine's native surface alike, of the shipped addon and of the tests' own: the names that the built file
// exports and those of its table; the parameters (how many, their names, what they are read as) in C++ and in TypeScript; and what the
// public headers declare, each of which the addon calls with as many arguments. Codes of errors are those of proto/. A second argument names another root: for its own test.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { definitionsOf, tableOf } from './surface/addon.mjs';
import { callsOf, declaredIn } from './surface/header.mjs';
import { functionsOf } from './surface/typescript.mjs';

const root = process.argv[2] ?? join(dirname(fileURLToPath(import.meta.url)), '..');
const require = createRequire(import.meta.url);
const text = (path) => readFileSync(join(root, path), 'utf8');
const sourcesIn = (folder) =>
  readdirSync(join(root, folder))
    .filter((file) => file.endsWith('.cpp'))
    .map((file) => text(`${folder}/${file}`))
    .join('\n');
const BUILT = process.env.ATELIER_ADDON_PATH
  ? dirname(process.env.ATELIER_ADDON_PATH)
  : join(root, 'native', 'build', 'addon');
/** Declared for C++ alone: its tests, its benchmarks, whoever brings a backend. */
const NOT_FOR_JAVASCRIPT = new Set(['cpu', 'cuda', 'of', 'cuda_cards', 'error_code_name', 'names_of', 'what', 'code']);

const HEADERS = 'native/include/atelier';
const SURFACES = [
  {
    built: 'atelier.node',
    table: 'native/addon/surface.cpp',
    sources: 'native/addon',
    typescript: ['libs/engine/src/addon.ts', 'NativeAddon'],
    headers: ['adapter', 'checkpoint', 'device', 'plan', 'sampler', 'text', 'trainer', 'transformer', 'vae'],
  },
  {
    built: 'atelier_testing.node',
    table: 'native/addon/testing/module.cpp',
    sources: 'native/addon/testing',
    typescript: ['test/parity/src/testing-addon.ts', 'TestingAddon'],
    headers: ['testing'],
  },
];
const problems = [];
let functions = 0;
let shipped = [];
for (const surface of SURFACES) {
  const table = tableOf(text(surface.table));
  compareNames(surface, table);
  compareParameters(surface, table);
  compareHeaders(surface);
  functions += table.size;
  shipped = [...shipped, ...table.keys()];
}

function compareNames({ built, table: where, typescript: [file, name] }, table) {
  const exported = join(BUILT, built);
  const surfaces = {
    [where]: [...table.keys()],
    [`${name} in ${file}`]: [...functionsOf(text(file), name).keys()],
    ...(existsSync(exported)
      ? { [`the built ${built}`]: Object.keys(require(exported)).filter((each) => !shipped.includes(each)) }
      : {}),
  };
  if (!existsSync(exported)) problems.push(`${exported} is not built: run npm run build`);
  for (const each of new Set(Object.values(surfaces).flat())) {
    for (const [place, own] of Object.entries(surfaces))
      if (!own.includes(each)) problems.push(`${each} is missing in ${place}`);
  }
  if (table.size === 0) problems.push(`${where} has no table`);
}

function compareParameters({ sources, typescript: [file, name] }, table) {
  const definitions = definitionsOf(sourcesIn(sources));
  const described = functionsOf(text(file), name);
  for (const [each, target] of table) {
    const read = definitions.get(target);
    const said = described.get(each);
    if (!read) problems.push(`${each}: ${target} is not defined in ${sources}`);
    if (!read || !said) continue;
    if (read.length !== said.length)
      problems.push(`${each} reads ${read.length} arguments in C++, ${file} says ${said.length}`);
    for (const [i, parameter] of said.slice(0, read.length).entries()) {
      const differs = (what) => read[i][what] && parameter[what] && read[i][what] !== parameter[what];
      if (differs('name'))
        problems.push(`${each}: argument ${i} is "${read[i].name}" in C++ and "${parameter.name}" in ${file}`);
      if (differs('kind'))
        problems.push(
          `${each}: ${parameter.name} is read as ${read[i].kind} in C++ and is ${parameter.kind} in ${file}`,
        );
      if ((read[i].kind === 'call') !== (parameter.kind === 'call' && parameter.optional))
        problems.push(`${each}: ${parameter.name} must be what may be added to a call in both or in neither`);
    }
  }
}

function compareHeaders({ sources, headers }) {
  const calls = sourcesIn(sources);
  for (const header of headers) {
    for (const { name, least, most } of declaredIn(text(`${HEADERS}/${header}.h`))) {
      if (NOT_FOR_JAVASCRIPT.has(name)) continue;
      const counts = callsOf(calls, name);
      if (counts.length === 0) problems.push(`${HEADERS}/${header}.h declares ${name}, which ${sources} never calls`);
      else if (!counts.some((count) => count >= least && count <= most))
        problems.push(`${sources} calls ${name} with ${counts.join(', ')} arguments, ${header}.h declares ${most}`);
    }
  }
}

compareCodes();

/** An error's code is one of proto's, wherever C++ names it. */
function compareCodes() {
  const known = new Set(
    [...text('proto/atelier/v1/common.proto').matchAll(/STATUS_CODE_(\w+) = /g)].map(([, code]) => code),
  );
  const places = {
    'native/src/base/error.cpp': /return "([A-Z_]+)";/g,
    'native/addon': /(?:throw_js\([^,]+,|\{)\s*"([A-Z_]+)"/g,
  };
  for (const [place, pattern] of Object.entries(places)) {
    const source = place.endsWith('.cpp') ? text(place) : sourcesIn(place);
    for (const [, code] of source.matchAll(pattern))
      if (!known.has(code)) problems.push(`${place}: ${code} is no StatusCode of proto/atelier/v1/common.proto`);
  }
}

for (const problem of problems) console.error(`surface: ${problem}`);
console.log(
  problems.length
    ? `${problems.length} differences in the native surface`
    : `native surface: ${functions} functions, alike everywhere`,
);
process.exit(problems.length ? 1 : 0);
