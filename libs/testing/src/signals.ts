import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const LONGEST_MS = 10_000;

/**
 * Sends a signal; after SIGSTOP returns once every thread of the process stands still. On a busy machine a thread on the
 * other core runs on for a while, long enough to answer a question that comes after the signal.
 */
export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  process.kill(pid, signal);
  if (signal !== 'SIGSTOP') return;
  const tick = new Int32Array(new SharedArrayBuffer(4));
  for (let waited = 0; waited < LONGEST_MS && !standsStill(pid); waited++) Atomics.wait(tick, 0, 0, 1);
}

/** By Linux's account; elsewhere it is believed. */
function standsStill(pid: number): boolean {
  const threads = `/proc/${pid}/task`;
  if (!existsSync(threads)) return true;
  return readdirSync(threads).every((thread) => {
    const afterName = readFileSync(join(threads, thread, 'stat'), 'utf8')
      .split(') ')
      .at(-1)!;
    return afterName.startsWith('T');
  });
}
