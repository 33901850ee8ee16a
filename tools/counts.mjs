// Figures of how the house stands, printed by `npm run counts`: arrows that point up, circles, crowded constructors, files that say Flux outside
// its room, places that declare a train option, long lines. --files names what is counted.
import { readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import ts from 'typescript';
import { cycles } from './cycles.mjs';
import { fileGraph } from './imports.mjs';
import { isSpec, root, trackedFiles } from './workspace.mjs';

const LONGEST_LINE = 120;
const MOST_COLLABORATORS = 6;
const SRC = 'native/src/';
/** The rooms of native/src from the ground up; what stands on one line is side by side. */
const FLOORS = readFloors() ?? [
  ['base'],
  ['tensor'],
  ['quant'],
  ['memory', 'formats'],
  ['ops'],
  ['program'],
  ['planning', 'adapters'],
  ['models'],
  ['training', 'sampling'],
  ['engine'],
  ['testing'],
];
/** Where Flux may be said: its model's room, the name tables, the registry of model families. */
const FLUX_ROOMS =
  /^native\/(src|test)\/models\/flux\/|^native\/src\/adapters\/kohya_names|^native\/src\/models\/registry|^native\/test\/flux\//;
/** Options that a run is trained with, as they are spelled in the different languages. */
const OPTIONS = ['weight_decay', 'max_grad_norm', 'lr_schedule', 'warmup_steps', 'mode_scale', 'logit_mean'];

const files = trackedFiles();
const read = (file) => readFileSync(join(root, file), 'utf8');
const code = files.filter(
  (file) => /\.(ts|mjs|cjs|js|cpp|cu|h|inl|py|sh|cmake)$/.test(file) && !/goldens\/.*\.json$/.test(file),
);
const typescript = files.filter((file) => file.endsWith('.ts'));
const native = files.filter((file) => file.startsWith(SRC) && /\.(cpp|cu|h|inl)$/.test(file));

function readFloors() {
  try {
    const lines = readFileSync(join(root, SRC, 'floors.txt'), 'utf8').split('\n');
    return lines.filter((line) => /^[a-z]/.test(line)).map((line) => line.trim().split(/\s+/));
  } catch {
    return undefined;
  }
}

const includes = new Map(native.map((file) => [file, includesOf(file)]));
function includesOf(file) {
  const known = new Set(native);
  const targets = [...read(file).matchAll(/^\s*#\s*include\s*"([^"]+)"/gm)].map(([, target]) => target);
  return targets
    .map((target) => [SRC + target, posix.join(dirname(file), target)].find((path) => known.has(path)))
    .filter(Boolean);
}

const floorOf = new Map(FLOORS.flatMap((rooms, floor) => rooms.map((room) => [room, floor])));
const roomOf = (file) => file.split('/')[2];
function upwardArrows() {
  const arrows = native.flatMap((file) => includes.get(file).map((target) => [roomOf(file), roomOf(target)]));
  const upward = arrows.filter(([from, to]) => from !== to && floorOf.get(to) >= floorOf.get(from));
  return [...new Set(upward.map(([from, to]) => `${from} → ${to}`))].sort();
}

function folderCircles() {
  const graph = new Map();
  for (const [file, targets] of includes) {
    const from = graph.get(dirname(file)) ?? new Set();
    for (const target of targets) if (dirname(target) !== dirname(file)) from.add(dirname(target));
    graph.set(dirname(file), from);
  }
  return cycles(graph).map((circle) => circle.join(' ↔ '));
}

function crowdedConstructors() {
  return typescript.flatMap((file) => {
    const found = [];
    const visit = (node) => {
      if (ts.isConstructorDeclaration(node) && node.parameters.length > MOST_COLLABORATORS) {
        found.push(`${file}: ${node.parent.name?.text ?? 'a class'}, ${node.parameters.length}`);
      }
      ts.forEachChild(node, visit);
    };
    visit(ts.createSourceFile(file, read(file), ts.ScriptTarget.Latest, true));
    return found;
  });
}

/** A place declares an option when it gives it a field, a default or a flag, not when it hands it on. */
function optionPlaces() {
  const camel = (name) => name.replace(/_(\w)/g, (_all, letter) => letter.toUpperCase());
  const spelled = OPTIONS.map((name) => new RegExp(`\\b(?:${name}|${camel(name)}|${name.replaceAll('_', '-')})\\b`));
  const places = files.filter(
    (file) => /\.(proto|ts|cpp|h|html)$/.test(file) && !isSpec(file) && !/^(native\/(test|bench)|test)\//.test(file),
  );
  return places.filter((file) => spelled.filter((name) => name.test(read(file))).length >= 3);
}

const longLines = code.flatMap((file) =>
  read(file)
    .split('\n')
    .flatMap((line, i) => ([...line].length > LONGEST_LINE ? [`${file}:${i + 1}`] : [])),
);

const sources = code.filter(
  (file) => !isSpec(file) && /^(libs|services|cli|native)\//.test(file) && /\.(ts|cpp|cu|h|inl)$/.test(file),
);
const figures = {
  'upward arrows between rooms of native/src': upwardArrows(),
  'circles of folders in native/src': folderCircles(),
  'circles of files in TypeScript': cycles(fileGraph(typescript)).map((circle) => circle.join(' → ')),
  [`constructors with over ${MOST_COLLABORATORS} parameters`]: crowdedConstructors(),
  'files that say Flux outside its room': sources.filter((file) => !FLUX_ROOMS.test(file) && /flux/i.test(read(file))),
  '  of them in native/': sources.filter(
    (file) => file.startsWith('native/') && !FLUX_ROOMS.test(file) && /flux/i.test(read(file)),
  ),
  'places that spell the train options': optionPlaces(),
  [`lines over ${LONGEST_LINE} columns`]: longLines,
};

const named = process.argv.includes('--files');
for (const [what, found] of Object.entries(figures)) {
  console.log(`${String(found.length).padStart(5)}  ${what}`);
  if (named) for (const each of found) console.log(`         ${each}`);
}
