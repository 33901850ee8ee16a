// Everything that is checked, through nx: what nothing changed for comes from its cache. The last line counts all test cases.
// node tools/test/all.mjs [options of nx run-many]
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { root, testTargets } from '../workspace.mjs';
import { readResult, RESULTS } from './results.mjs';

const TARGETS = [
  'graph',
  'boundaries',
  'options',
  'format',
  'lint',
  'typecheck',
  'surface',
  'parity',
  'test',
  'sanitize',
];
const LINES_OF_A_FAILURE = 12;
// In a git worktree nx would keep its cache in the main one.
const CACHE = process.env.NX_CACHE_DIRECTORY ?? join(root, '.nx', 'cache');
const RUN = join(CACHE, 'run.json'); // nx writes it at the end of each run: every task, and how it ended

rmSync(RESULTS, { recursive: true, force: true });
rmSync(RUN, { force: true });
const nx = join(root, 'node_modules', '.bin', 'nx');
const options = ['--nxBail=false', '--outputStyle=static', ...process.argv.slice(2)];
const { status } = spawnSync(nx, ['run-many', '-t', ...TARGETS, ...options], {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, NX_CACHE_DIRECTORY: CACHE },
});

/** A failed case where the reader looks first, though its own output may lie thousands of lines above. */
function told({ file, title, message }) {
  const lines = message.split('\n').filter((line) => line.trim() !== '' && !line.includes('node_modules'));
  return [`${file}: ${title}`, ...lines.slice(0, LINES_OF_A_FAILURE)].join('\n    ');
}

const tasks = existsSync(RUN) ? JSON.parse(readFileSync(RUN, 'utf8')).tasks : [];
const problems = [];
const unsteady = [];
let passed = 0;
let failed = 0;
// Where some projects were chosen by options, those that nx says it ran.
const chosen = process.argv.some((option) => /^(-p|--projects|--exclude)\b/.test(option));
const ran = ([project, target]) => tasks.some((task) => task.projectName === project && task.target === target);
for (const [project, target] of testTargets().filter((each) => !chosen || ran(each))) {
  const result = readResult(project, target);
  if (result) {
    passed += result.passed;
    failed += result.failed;
    if (result.failed > 0) problems.push(`${project}:${target}: ${result.failed} failed`);
    problems.push(...result.lost.map((name) => `${project}:${target}: ${name} was lost`));
    problems.push(...result.failures.map((each) => `${project}:${target}: ${told(each)}`));
    unsteady.push(
      ...result.unsteady.map((each) => `${project}:${target}: unsteady, passed when asked again: ${told(each)}`),
    );
  } else {
    failed += 1;
    problems.push(`${project}:${target} did not run to its end: all of it was lost`);
  }
}
// What counts no cases of its own: a lint, a type check, a build.
for (const { projectName, target, status: code } of tasks) {
  if (code === 0 || readResult(projectName, target)?.failed > 0) continue;
  failed += 1;
  problems.push(`${projectName}:${target} failed`);
}
if (status !== 0 && failed === 0) {
  failed += 1;
  problems.push(`nx ended with exit code ${status}`);
}

const seconds = ({ startTime, endTime }) => (Date.parse(endTime) - Date.parse(startTime)) / 1000;
const slowest = tasks
  .filter(({ cacheStatus }) => cacheStatus === 'cache-miss')
  .sort((a, b) => seconds(b) - seconds(a))
  .slice(0, 12);
console.log(
  `\n${tasks.filter(({ cacheStatus }) => cacheStatus !== 'cache-miss').length} of ${tasks.length} tasks came from the cache`,
);
for (const task of slowest) console.log(`${seconds(task).toFixed(1).padStart(7)} s  ${task.taskId}`);
for (const line of unsteady) console.error(line);
for (const problem of problems) console.error(problem);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
