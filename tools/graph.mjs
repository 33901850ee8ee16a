// Keeps what is drawn from the graph of the packages in step with package.json: TypeScript's references and the image's COPY lines.
// node tools/graph.mjs says what differs; --write mends it.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { format } from 'prettier';
import { projects, root } from './workspace.mjs';

const write = process.argv.includes('--write');
const all = projects();
const packages = [...all.values()].filter(({ isPackage }) => isPackage).sort((a, b) => (a.dir < b.dir ? -1 : 1));
const wanted = new Map();

const relative = (from, to) => {
  const path = posix.relative(from, to);
  return path.startsWith('.') ? path : `./${path}`;
};
const asJson = (value) => format(JSON.stringify(value), { parser: 'json', printWidth: 120 });

// tsconfig.build.json makes dist/ of the sources, tsconfig.json is what editors, eslint and the type check of the specs read.
for (const { dir, dependencies } of packages.filter(({ hasSources }) => hasSources)) {
  const references = dependencies.map((name) => ({ path: `${relative(dir, all.get(name).dir)}/tsconfig.build.json` }));
  wanted.set(
    `${dir}/tsconfig.build.json`,
    await asJson({ extends: `${relative(dir, '.')}/tsconfig.build.json`, references }),
  );
  const apart = existsSync(join(root, dir, 'test', 'project.json')); // the specs are a project, and have a tsconfig.json of their own
  const whole = {
    extends: `${relative(dir, '.')}/tsconfig.base.json`,
    references: [{ path: './tsconfig.build.json' }],
  };
  wanted.set(`${dir}/tsconfig.json`, await asJson(apart ? { ...whole, include: ['src'] } : whole));
}

const DOCKERFILE = 'deploy/docker/Dockerfile';
const COPIES = /(?:^COPY \S+\/package\.json \S+\/\n)+/m;
const copies = packages.map(({ dir }) => `COPY ${dir}/package.json ${dir}/\n`).join('');
const dockerfile = readFileSync(join(root, DOCKERFILE), 'utf8');
if (!COPIES.test(dockerfile))
  throw new Error(`${DOCKERFILE} has no lines "COPY <package>/package.json <package>/" to be kept`);
wanted.set(DOCKERFILE, dockerfile.replace(COPIES, copies));

const content = (file) => (existsSync(join(root, file)) ? readFileSync(join(root, file), 'utf8') : undefined);
const different = [...wanted].filter(([file, text]) => content(file) !== text).map(([file]) => file);
for (const file of different) {
  if (write) writeFileSync(join(root, file), wanted.get(file));
  else console.error(`graph: ${file} is not what package.json says: run "node tools/graph.mjs --write"`);
}
console.log(
  different.length === 0
    ? `graph: ${wanted.size} files agree with package.json`
    : `graph: ${different.length} files ${write ? 'written' : 'differ'}`,
);
process.exit(different.length === 0 || write ? 0 : 1);
