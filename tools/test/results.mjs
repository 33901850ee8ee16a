// What a target's tests came to, one file a target: nx keeps it with the target's other outputs, so that a run from the cache counts too.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { root } from '../workspace.mjs';

export const RESULTS = join(root, 'dist', 'test-results');

const fileOf = (project, target) => join(RESULTS, project, `${target}.json`);

/**
 * @param outcome { passed, failed, lost, failures, unsteady }: numbers of cases; the names of what should have run and did not; what
 *   failed, and what failed at first and passed when asked again, each as { file, title, message }
 */
export function writeResult(project, target, { passed, failed, lost = [], failures = [], unsteady = [] }) {
  const file = fileOf(project, target);
  const result = { project, target, passed, failed, lost, failures, unsteady };
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(result, undefined, 2)}\n`);
}

export function readResult(project, target) {
  const file = fileOf(project, target);
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined;
}

export const forgetResult = (project, target) => rmSync(fileOf(project, target), { force: true });
