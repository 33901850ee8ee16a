// Keeps the arrows of the layout: services, cli → libs → contracts; engine → native/addon → native/include → native/src, and there the floors
// of native/src/floors.txt. Also: no path of someone's machine in a tracked file.
import { readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join, posix } from 'node:path';
import { cycles } from './cycles.mjs';
import { fileGraph, importsOf } from './imports.mjs';
import { checkNative } from './native-boundaries.mjs';
import { isSpec, ownerOf, projects, root, SCOPE, trackedFiles } from './workspace.mjs';

const files = trackedFiles();
const problems = [];
const all = projects(files);
const sources = files.filter((file) => file.endsWith('.ts'));

checkGraph();
for (const circle of cycles(fileGraph(sources)))
  problems.push(`${circle.join(' → ')} → ${circle[0]}: a circle of imports`);

for (const file of files) {
  let text;
  const source = /\.(ts|mjs|js|cpp|h|inl|cu|cmake|sh|yaml|yml|json|md|proto|py)$/.test(file);
  if (!source) continue;
  try {
    text = readFileSync(join(root, file), 'utf8');
  } catch {
    continue; // deleted, not committed yet
  }
  if (file.endsWith('.ts')) checkTypeScript(file);
  const machine = text.match(/(^|[\s"'(=])(\/home\/\w+|\/work\/\w+)/m);
  if (machine && file !== 'tools/check-boundaries.mjs')
    problems.push(`${file}: names ${machine[2]}, a path of one machine`);
}

/** package.json's dependencies are the graph: libraries stand below services and the command line, and nothing stands on itself. */
function checkGraph() {
  const declared = ({ dependencies, devDependencies }) => [...dependencies, ...devDependencies];
  const graph = new Map([...all.values()].map((project) => [project.name, declared(project)]));
  for (const circle of cycles(graph))
    problems.push(`${circle.join(' → ')} → ${circle[0]}: these packages depend on each other`);
  for (const project of all.values()) {
    for (const name of declared(project).filter((name) => !all.has(name)))
      problems.push(`${project.dir}: depends on ${name}, which is not there`);
    if (!project.isPackage) continue;
    for (const name of declared(project).filter((name) => all.has(name) && all.get(name).layer !== 'libs')) {
      problems.push(`${project.dir}/package.json: depends on ${name}; services and cli are imported by nobody`);
    }
    if (project.dependencies.includes(`${SCOPE}testing`))
      problems.push(`${project.dir}/package.json: ${SCOPE}testing belongs to devDependencies`);
    const own = sources.filter((file) => ownerOf(file, all) === project);
    const imported = new Set(own.flatMap(importsOf).map(packageOf));
    for (const name of declared(project)) {
      if (!imported.has(name))
        problems.push(`${project.dir}/package.json: depends on ${name}, which nothing there imports`);
    }
  }
}

/** `@atelier/mesh` of `@atelier/mesh`, `sharp` of `sharp/lib/x`; nothing of a path or of node:fs. */
function packageOf(target) {
  return /^(?:@[^/]+\/)?[^./@:][^/:]*(?=\/|$)/.exec(target)?.[0];
}

function checkTypeScript(file) {
  const project = ownerOf(file, all);
  for (const target of importsOf(file)) {
    const name = packageOf(target);
    if (name && project) checkImport(file, project, name);
    if (target.startsWith('.')) {
      const reached = ownerOf(posix.normalize(posix.join(posix.dirname(file), target)), all);
      if (reached && reached !== project && reached.isPackage && !isOwnTest(project, reached)) {
        problems.push(`${file}: reaches into ${reached.dir} by a path; import the package`);
      }
    }
  }
}

/** Specs that are a project of their own stand in the package's folder and see its insides. */
function isOwnTest(project, reached) {
  return project?.dir.startsWith(`${reached.dir}/`);
}

function checkImport(file, project, name) {
  if (name === project.name) return;
  const declared = [...project.dependencies, ...(isSpec(file) ? project.devDependencies : [])];
  if (name.startsWith(SCOPE)) {
    if (!declared.includes(name))
      problems.push(
        `${file}: imports ${name}, which ${project.dir}/p${project.isPackage ? 'ackage' : 'roject'}.json does not depend on`,
      );
  } else if (project.isPackage && !(name in project.thirdParty) && !(isSpec(file) && name in project.thirdPartyDev)) {
    if (!isBuiltin(name) && !isSpec(file))
      problems.push(`${file}: imports ${name}, which ${project.dir}/package.json does not depend on`);
  }
}

problems.push(...checkNative(root, files).problems);

for (const problem of problems) console.error(`boundary: ${problem}`);
console.log(problems.length ? `${problems.length} boundaries crossed` : `boundaries kept in ${files.length} files`);
process.exit(problems.length ? 1 : 0);
