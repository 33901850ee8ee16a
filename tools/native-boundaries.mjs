// What native sources may include: native/addon → native/include → native/src, and in there what native/src/floors.txt
// gives (of the public headers the plain data): nothing from above, and no folders that include each other.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';

const SRC = 'native/src/';
const FLOORS = `${SRC}floors.txt`;
/** The public header is the roof: below it stand the two rooms that implement it, and every room may know its plain data. */
const UNDER_THE_ROOF = /^native\/src\/(engine|testing)\//;
const PLAIN_DATA = /^atelier\/(error|option|train_options|types)\.h$/;
/** Rooms that read or write JSON in files. */
const JSON_ROOMS = /^native\/src\/(formats|adapters)\//;

/**
 * @param files of the repository, relative to root
 * @returns {{problems: string[], counts: string}} what is against the rules, and how often
 */
export function checkNative(root, files) {
  const floors = readFloors(root);
  const sources = files.filter(
    (file) => /^native\/(src|addon|include|test|bench)\/.*\.(cpp|h|inl|cu)$/.test(file) && existsSync(join(root, file)),
  );
  const rooms = checkRooms(
    root,
    sources.filter((file) => file.startsWith(SRC)),
    floors,
  );
  return {
    problems: [...sources.flatMap((file) => checkLayer(root, file, floors.flat())), ...rooms.problems],
    counts: rooms.counts,
  };
}

function checkLayer(root, file, rooms) {
  const layer = file.split('/')[1];
  const problems = [];
  for (const [, target] of readFileSync(join(root, file), 'utf8').matchAll(/^\s*#\s*include\s*["<]([^">]+)[">]/gm)) {
    const refuse = (when, why) => when && problems.push(`${file}: includes ${target}; ${why}`);
    refuse(
      layer === 'addon' && target.includes('/') && rooms.includes(target.split('/')[0]),
      'the addon sees native/include only',
    );
    refuse(layer === 'src' && /napi|node_api/.test(target), 'the engine does not know Node');
    refuse(
      layer === 'src' && /nlohmann/.test(target) && !JSON_ROOMS.test(file),
      'JSON belongs to formats and adapters',
    );
    refuse(
      layer === 'src' && /^atelier\//.test(target) && !PLAIN_DATA.test(target) && !UNDER_THE_ROOF.test(file),
      'the public header is the roof: of it a lower room sees its plain data alone',
    );
    refuse(
      layer === 'addon' && target === 'atelier/testing.h' && !file.startsWith('native/addon/testing/'),
      'what only tests call does not ship',
    );
    refuse(layer === 'include' && !/^(atelier\/|[a-z_]+$)/.test(target), 'the public header stands alone');
  }
  return problems;
}

// Rooms by floor, the lowest first.
function readFloors(root) {
  return readFileSync(join(root, FLOORS), 'utf8')
    .split('\n')
    .filter((line) => /^[a-z]/.test(line))
    .map((line) => line.trim().split(/\s+/));
}

function checkRooms(root, sources, floors) {
  const floorOf = new Map(floors.flatMap((rooms, floor) => rooms.map((room) => [room, floor])));
  const problems = [];
  const arrows = new Map(); // folder -> folders that it includes from
  const upward = new Map(); // "room -> room" -> files
  for (const file of sources) {
    const room = roomOf(file);
    for (const target of includes(root, file)) {
      const other = roomOf(target);
      add(arrows, dirname(file), dirname(target));
      if (room === other || !(floorOf.get(other) >= floorOf.get(room))) continue;
      add(upward, `${room} -> ${other}`, file);
      const where = floorOf.get(other) === floorOf.get(room) ? 'beside' : 'above';
      problems.push(`${file}: includes ${target.slice(SRC.length)}; ${other} stands ${where} ${room} (${FLOORS})`);
    }
  }
  const there = new Set(sources.map(roomOf));
  for (const room of there)
    if (!floorOf.has(room)) problems.push(`${SRC}${room}: is on no floor; name it in ${FLOORS}`);
  for (const room of floorOf.keys())
    if (!there.has(room)) problems.push(`${FLOORS}: names ${room}, which holds no source`);
  const circles = findCircles(arrows);
  for (const circle of circles)
    problems.push(`${circle.join(' <-> ')}: these folders include each other; move what both need below them`);

  const reaching = new Set([...upward.values()].flatMap((from) => [...from])).size;
  const figures = `${there.size} rooms, upward arrows: ${upward.size}, files that reach up: ${reaching}`;
  const arrowLines = [...upward].map(([arrow, from]) => `  ${arrow}: ${[...from].join(', ')}`);
  const counts = [`native/src: ${figures}, circles: ${circles.length}`, ...arrowLines].join('\n');
  return { problems, counts };
}

// Sets of nodes that reach each other: Tarjan's strongly connected components of more than one node.
function findCircles(arrows) {
  const index = new Map(),
    low = new Map(),
    stack = [],
    found = [];
  const visit = (node) => {
    index.set(node, index.size);
    low.set(node, index.get(node));
    stack.push(node);
    for (const next of arrows.get(node) ?? []) {
      if (!index.has(next)) visit(next);
      if (stack.includes(next)) low.set(node, Math.min(low.get(node), low.get(next)));
    }
    if (low.get(node) !== index.get(node)) return;
    const circle = stack.splice(stack.indexOf(node));
    if (circle.length > 1) found.push(circle.sort());
  };
  for (const node of arrows.keys()) if (!index.has(node)) visit(node);
  return found;
}

const roomOf = (file) => file.split('/')[2];
const add = (map, key, value) => map.set(key, (map.get(key) ?? new Set()).add(value));

// What a source includes of native/src, as paths of the repository: from src/ or from beside the file.
function includes(root, file) {
  const text = readFileSync(join(root, file), 'utf8');
  return [...text.matchAll(/^\s*#\s*include\s*"([^"]+)"/gm)]
    .map(([, target]) => [SRC + target, posix.join(dirname(file), target)].find((path) => existsSync(join(root, path))))
    .filter((path) => path?.startsWith(SRC));
}
