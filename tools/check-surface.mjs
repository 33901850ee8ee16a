// Keeps the engine's three descriptions of its native surface alike: the names the built addon exports, those of its table in
// native/addon/module.cpp, and the methods of NativeAddon in libs/engine/src/addon.ts.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const require = createRequire(import.meta.url);
const text = (path) => readFileSync(join(root, path), 'utf8');

const built = process.env.ATELIER_ADDON_PATH ?? join(root, 'native', 'build', 'addon', 'atelier.node');
const surfaces = {
  'the built addon': Object.keys(require(built)),
  'native/addon/module.cpp': [...text('native/addon/module.cpp').matchAll(/^\s*\{"(\w+)", \w+\},$/gm)].map(
    ([, name]) => name,
  ),
  'NativeAddon in libs/engine/src/addon.ts': methods(text('libs/engine/src/addon.ts'), 'NativeAddon'),
};

function methods(source, name) {
  const file = ts.createSourceFile('addon.ts', source, ts.ScriptTarget.Latest);
  const found = file.statements.find(
    (statement) => ts.isInterfaceDeclaration(statement) && statement.name.text === name,
  );
  return (found?.members ?? []).map((member) => member.name.getText(file));
}

const names = new Set(Object.values(surfaces).flat());
const problems = [...names].flatMap((name) =>
  Object.entries(surfaces).flatMap(([where, own]) => (own.includes(name) ? [] : [`${name} is missing in ${where}`])),
);
for (const problem of problems) console.error(`surface: ${problem}`);
if (names.size === 0) console.error('surface: no names were found anywhere');
console.log(
  problems.length
    ? `${problems.length} differences in the native surface`
    : `native surface: ${names.size} names, alike everywhere`,
);
process.exit(problems.length || names.size === 0 ? 1 : 0);
