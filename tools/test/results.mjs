// What a target's tests came to, one file a target: nx keeps it with the target's other outputs, so that a run from the cache counts too.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { root } from '../workspace.mjs';

export const RESULTS = join(root, 'dist', 'test-results');

const fileOf = (project, target) => join(RESULTS, project, `${target}.json`);

/** @param outcome { passed, failed, lost }: numbers of cases, and the names of what should have run and did not */
export function writeResult(project, target, { passed, failed, lost = [] }) {
  const file = fileOf(project, target);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify({ project, target, passed, failed, lost }, undefined, 2)}\n`);
}

export function readResult(project, target) {
  const file = fileOf(project, target);
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined;
}

export const forgetResult = (project, target) => rmSync(fileOf(project, target), { force: true });
