// The specs of one project: node tools/test/jest.mjs PROJECT FOLDER [jest's options]
// One spec file at a time: nx runs projects side by side, and a machine of two cores has no room for more.
// A file that failed is run once more by itself (docs/decisions/0040): what passes then is counted as passed and named as unsteady.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { root } from '../workspace.mjs';
import { forgetResult, writeResult } from './results.mjs';

/** How long jest may take to end after its last spec. What a spec starts, it ends: a server left running keeps it from that. */
const LINGER_MS = 20_000;
const TARGET = 'test';

const [project, folder, ...options] = process.argv.slice(2);
const jest = join(root, 'node_modules', 'jest', 'bin', 'jest.js');
const scratch = mkdtempSync(join(tmpdir(), 'atelier-jest-'));
forgetResult(project, TARGET);

const args = ['--roots', join(root, folder), '--maxWorkers=1', '--passWithNoTests', ...options];
const first = await run('first', args);
const failing = first.files.filter(({ failed }) => failed > 0).map(({ path }) => path);
const again = failing.length > 0 ? await run('again', [...args, '--runTestsByPath', ...failing]) : undefined;
rmSync(scratch, { recursive: true, force: true });

const files = first.files.map((file) => again?.files.find(({ path }) => path === file.path) ?? file);
const sum = (key) => files.reduce((total, file) => total + file[key], 0);
const named = ({ path, failures }) => failures.map((failure) => ({ file: relative(root, path), ...failure }));
const failures = files.flatMap(named);
const unsteady = first.files.flatMap(named).filter(({ file, title }) => {
  return !failures.some((failure) => failure.file === file && failure.title === title);
});
const lost = first.lost.map((path) => relative(root, path));
for (const path of lost) console.error(`${project}: ${path} was lost`);
const failed = sum('failed') + lost.length + Number(first.stuck);
const unexplained = Number(first.code !== 0 && failed === 0 && failing.length === 0);
if (unexplained) console.error(`${project}: jest ended with exit code ${first.code} though no spec failed`);
writeResult(project, TARGET, { passed: sum('passed'), failed: failed + unexplained, lost, failures, unsteady });
process.exitCode = failed + unexplained === 0 ? 0 : 1;

/** @returns { code, stuck, files, lost }: how jest ended, what each spec file came to, and the paths of those it never came to */
function run(name, jestArgs) {
  const progress = join(scratch, name);
  const lines = () => {
    if (!existsSync(progress)) return [];
    const whole = readFileSync(progress, 'utf8').split('\n').slice(0, -1);
    return whole.map((line) => JSON.parse(line));
  };
  const reporters = ['--reporters=default', `--reporters=${join(root, 'tools', 'test', 'reporter.cjs')}`];
  const child = spawn(process.execPath, [jest, ...jestArgs, ...reporters], {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, ATELIER_TEST_PROGRESS: progress },
  });

  let stuck = false;
  let overSince;
  const watch = setInterval(() => {
    if (!lines().some(({ over }) => over)) return;
    overSince ??= Date.now();
    if (Date.now() - overSince < LINGER_MS) return;
    stuck = true;
    child.kill('SIGKILL');
  }, 1000);

  return new Promise((resolve) => {
    child.once('close', (code, signal) => {
      clearInterval(watch);
      if (signal && !stuck) console.error(`${project}: jest was ended by ${signal}`);
      if (stuck) {
        const late = `jest did not end in ${LINGER_MS / 1000} s after its last`;
        console.error(`${project}: a spec left something running: ${late}`);
      }
      const done = lines().filter(({ path }) => path);
      const ran = (path) => done.some((file) => file.path === path);
      resolve({ code, stuck, files: done, lost: code === 0 ? [] : planned(jestArgs).filter((path) => !ran(path)) });
    });
  });
}

function planned(jestArgs) {
  const { stdout } = spawnSync(process.execPath, [jest, ...jestArgs, '--listTests'], { cwd: root, encoding: 'utf8' });
  return stdout.split('\n').filter(Boolean);
}
