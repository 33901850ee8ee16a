// The boundary check on trees made for it: what it refuses, and that it says where and why.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const FLOORS = '# from below\nbase\nmemory formats\nops\n';
const SOUND = {
  'native/src/floors.txt': FLOORS,
  'native/src/base/error.h': '#include "atelier/error.h"\n#include <string>\n',
  'native/src/memory/arena.h': '#include "base/error.h"\n#include <memory>\n',
  'native/src/formats/json.h': '#include "base/error.h"\n#include <nlohmann/json.hpp>\n',
  'native/src/ops/ops.h': '#include "memory/arena.h"\n#include "formats/json.h"\n',
  'native/src/ops/cpu/backend.cpp': '#include "ops/ops.h"\n#include "loops.inl"\n',
  'native/src/ops/cpu/loops.inl': '',
  'native/addon/task.h': '#include "atelier/engine.h"\n#include <memory>\n',
};

describe('boundaries of the engine', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'atelier-boundaries-'));
    execFileSync('git', ['init', '-q', root]);
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));

  const check = (files: Record<string, string>, ...options: string[]) => {
    for (const [file, text] of Object.entries(files)) {
      mkdirSync(join(root, dirname(file)), { recursive: true });
      writeFileSync(join(root, file), text);
    }
    const run = spawnSync('node', [join(__dirname, 'check-native-boundaries.mjs'), '--root', root, ...options], {
      encoding: 'utf8',
    });
    return { status: run.status, said: run.stdout + run.stderr };
  };

  it('passes a tree in which everything is included from below', () => {
    expect(check(SOUND)).toEqual({ status: 0, said: 'boundaries kept in 8 files\n' });
  });

  it.each([
    [
      'from above',
      'native/src/base/error.h',
      '#include "ops/ops.h"\n',
      'base/error.h: includes ops/ops.h; ops stands above base',
    ],
    [
      'from beside',
      'native/src/memory/arena.h',
      '#include "formats/json.h"\n',
      'arena.h: includes formats/json.h; formats stands beside memory',
    ],
    [
      'by a path',
      'native/src/base/error.h',
      '#include "../ops/ops.h"\n',
      'base/error.h: includes ops/ops.h; ops stands above base',
    ],
    ['from a room on no floor', 'native/src/attic/old.h', '', 'native/src/attic: is on no floor'],
    [
      'past the public header',
      'native/addon/task.h',
      '#include "memory/arena.h"\n',
      'the addon sees native/include only',
    ],
    ['of JSON outside formats', 'native/src/ops/ops.h', '#include <nlohmann/json.hpp>\n', 'JSON belongs to formats'],
    ['of the roof', 'native/src/ops/ops.h', '#include "atelier/trainer.h"\n', 'the public header is the roof'],
    [
      'of what only tests call',
      'native/addon/task.h',
      '#include "atelier/testing.h"\n',
      'what only tests call does not ship',
    ],
  ])('refuses what is included %s', (_, file, text, why) => {
    const { status, said } = check({ ...SOUND, [file]: text });
    expect(said).toContain(why);
    expect(status).toBe(1);
  });

  it('refuses folders that include each other in one room', () => {
    const { status, said } = check({ ...SOUND, 'native/src/ops/ops.h': '#include "ops/cpu/loops.inl"\n' });
    expect(said).toContain('native/src/ops <-> native/src/ops/cpu: these folders include each other');
    expect(status).toBe(1);
  });

  it('refuses a floor that no source stands on', () => {
    const { status, said } = check({ ...SOUND, 'native/src/floors.txt': `${FLOORS}engine\n` });
    expect(said).toContain('native/src/floors.txt: names engine, which holds no source');
    expect(status).toBe(1);
  });

  it('counts arrows that go up and circles', () => {
    const tree = { ...SOUND, 'native/src/base/error.h': '#include "ops/ops.h"\n#include "memory/arena.h"\n' };
    expect(check(tree, '--count').said).toBe(
      'native/src: 4 rooms, upward arrows: 2, files that reach up: 1, circles: 1\n' +
        '  base -> ops: native/src/base/error.h\n  base -> memory: native/src/base/error.h\n',
    );
  });
});
