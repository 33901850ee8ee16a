// The projects of this repository, as their package.json and project.json describe them. package.json's dependencies are the one graph:
// TypeScript's references, the image's COPY lines, the allowed imports and nx's order are all drawn from it.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = join(dirname(fileURLToPath(import.meta.url)), '..');
export const SCOPE = '@atelier/';

/** What git knows or would take: no build output, nothing ignored, nothing that was deleted. */
export function trackedFiles() {
  const options = { cwd: root, encoding: 'utf8', maxBuffer: 64 << 20 };
  const listed = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], options).split('\n').filter(Boolean);
  return [...new Set(listed)].filter((file) => existsSync(join(root, file)));
}

const json = (path) => JSON.parse(readFileSync(join(root, path), 'utf8'));
const ours = (dependencies = {}) =>
  Object.keys(dependencies)
    .filter((name) => name.startsWith(SCOPE))
    .sort();

function packageAt(dir) {
  const manifest = json(`${dir}/package.json`);
  return {
    name: manifest.name,
    dir,
    layer: dir.split('/')[0],
    isPackage: true,
    hasSources: existsSync(join(root, dir, 'src')),
    dependencies: ours(manifest.dependencies),
    devDependencies: ours(manifest.devDependencies),
    thirdParty: { ...manifest.dependencies },
    thirdPartyDev: { ...manifest.devDependencies },
    targets: manifest.nx?.targets ?? {},
  };
}

/** What is no npm package and yet has targets: native/, the suites in test/, and specs that stand above the package that they test. */
function plainProjectAt(dir) {
  const project = json(dir === '.' ? 'project.json' : `${dir}/project.json`);
  return {
    name: project.name,
    dir,
    layer: dir.split('/')[0],
    isPackage: false,
    hasSources: false,
    dependencies: [],
    devDependencies: (project.implicitDependencies ?? []).filter((name) => name.startsWith(SCOPE)),
    targets: project.targets ?? {},
  };
}

/** Every project, by name. */
export function projects(files = trackedFiles()) {
  const found = files.flatMap((file) => {
    if (/^(libs|services)\/[^/]+\/package\.json$|^cli\/package\.json$/.test(file)) return [packageAt(dirname(file))];
    return /(^|\/)project\.json$/.test(file) ? [plainProjectAt(dirname(file))] : [];
  });
  return new Map(found.map((project) => [project.name, project]));
}

/** The project that a file belongs to: the innermost whose folder holds it. */
export function ownerOf(file, all) {
  const holding = [...all.values()].filter(({ dir }) => dir !== '.' && file.startsWith(`${dir}/`));
  return holding.sort((a, b) => b.dir.length - a.dir.length)[0];
}

export const isSpec = (file) => /\.spec\.ts$|(^|\/)test\//.test(file);

/** [project, target] of everything that counts test cases: what keeps a result (tools/test/results.mjs). */
export function testTargets(all = projects()) {
  const keepsResult = ([name, target]) =>
    name === 'test' || JSON.stringify(target.outputs ?? []).includes('test-results');
  const runs = ([, target]) => target.executor !== 'nx:noop';
  return [...all.values()].flatMap(({ name, targets }) =>
    Object.entries(targets)
      .filter((entry) => keepsResult(entry) && runs(entry))
      .map(([target]) => [name, target]),
  );
}
