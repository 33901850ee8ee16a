// What the TypeScript sources import, as the compiler sees it: comments and strings that look like imports do not count.
import { readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import ts from 'typescript';
import { root } from './workspace.mjs';

/** Module names in the order of the text: imports, re-exports, import() and require(), of types too. */
export function importsOf(file) {
  const { importedFiles } = ts.preProcessFile(readFileSync(join(root, file), 'utf8'), true, true);
  return importedFiles.map(({ fileName }) => fileName);
}

/** Source file → the source files that it imports by a relative path. */
export function fileGraph(files) {
  const known = new Set(files);
  const reached = (file, target) => {
    const path = posix.normalize(posix.join(posix.dirname(file), target));
    return [`${path}.ts`, `${path}/index.ts`, path].find((candidate) => known.has(candidate));
  };
  return new Map(
    files.map((file) => {
      const relative = importsOf(file).filter((target) => target.startsWith('.'));
      return [file, new Set(relative.map((target) => reached(file, target)).filter(Boolean))];
    }),
  );
}
