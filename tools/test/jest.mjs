// The specs of one project: node tools/test/jest.mjs PROJECT FOLDER [jest's options]
// One spec file at a time: nx runs projects side by side, and a machine of two cores has no room for more.
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
const progress = join(scratch, 'progress');
forgetResult(project, TARGET);

const args = ['--roots', join(root, folder), '--maxWorkers=1', '--passWithNoTests', ...options];
const reporters = ['--reporters=default', `--reporters=${join(root, 'tools', 'test', 'reporter.cjs')}`];
const child = spawn(process.execPath, [jest, ...args, ...reporters], {
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

child.once('close', (code, signal) => {
  clearInterval(watch);
  const files = lines().filter(({ path }) => path);
  const sum = (key) => files.reduce((total, file) => total + file[key], 0);
  const lost = code === 0 ? [] : planned().filter((path) => !files.some((file) => file.path === path));
  if (signal && !stuck) console.error(`${project}: jest was ended by ${signal}`);
  for (const path of lost) console.error(`${project}: ${relative(root, path)} was lost`);
  if (stuck)
    console.error(
      `${project}: a spec left something running: jest did not end in ${LINGER_MS / 1000} s after its last`,
    );
  const failed = sum('failed') + lost.length + Number(stuck);
  const unexplained = Number(code !== 0 && failed === 0);
  if (unexplained) console.error(`${project}: jest ended with exit code ${code} though no spec failed`);
  writeResult(project, TARGET, {
    passed: sum('passed'),
    failed: failed + unexplained,
    lost: lost.map((path) => relative(root, path)),
  });
  rmSync(scratch, { recursive: true, force: true });
  process.exitCode = failed + unexplained === 0 ? 0 : 1;
});

function lines() {
  if (!existsSync(progress)) return [];
  const whole = readFileSync(progress, 'utf8').split('\n').slice(0, -1);
  return whole.map((line) => JSON.parse(line));
}

function planned() {
  const { stdout } = spawnSync(process.execPath, [jest, ...args, '--listTests'], { cwd: root, encoding: 'utf8' });
  return stdout.split('\n').filter(Boolean);
}
