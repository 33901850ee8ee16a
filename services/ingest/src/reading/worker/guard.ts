import { join } from 'node:path';
import { Worker, workerData } from 'node:worker_threads';
import { OVER_MEMORY } from '../deaths';

/** A decoder may take a gigabyte a second. */
const LOOK_EVERY_MS = 50;

interface Guarded {
  readonly memoryBytes: number;
  readonly parent: number;
}

/**
 * Ends this process when it takes more memory than it may, most of which is not JavaScript's (pixels, buffers), or when
 * the service that started it is gone. In a thread of its own: what it guards against keeps the main one from looking
 * at anything.
 */
export function startGuard(guarded: Guarded): void {
  const main = `require(${JSON.stringify(join(__dirname, 'guard.js'))}).guard()`;
  new Worker(main, { eval: true, workerData: guarded, resourceLimits: { maxOldGenerationSizeMb: 16 } }).unref();
}

/** The thread's own part. */
export function guard(): void {
  const { memoryBytes, parent } = workerData as Guarded;
  setInterval(() => {
    if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL');
    if (process.memoryUsage.rss() > memoryBytes) process.kill(process.pid, OVER_MEMORY);
  }, LOOK_EVERY_MS);
}
