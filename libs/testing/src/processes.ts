import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

export const repositoryRoot = join(__dirname, '..', '..', '..');

/** The small checkpoint that the goldens were made with. */
export const tinyCheckpoint = (): string => join(repositoryRoot, 'native', 'test', 'goldens', 'tiny-dev', 'model');

export interface ServiceProcess {
  readonly pid: number;
  /** Everything it wrote to stderr so far. */
  log(): string;
  /** SIGKILL, and wait until it is gone. */
  kill(): Promise<void>;
  /** SIGTERM, and wait; SIGKILL after 20 s. Resolves with the exit code. */
  stop(): Promise<number | null>;
  readonly exited: Promise<number | null>;
}

/** A service as its own process, `node services/<name>/dist/main.js`; resolves when it says that it is ready. */
export async function startServiceProcess(name: string, env: Record<string, string>): Promise<ServiceProcess> {
  const main = join(repositoryRoot, 'services', name, 'dist', 'main.js');
  if (!existsSync(main)) throw new Error(`${main} is not there: run "npm run build" first`);
  const child: ChildProcess = spawn(process.execPath, [main], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let log = '';
  const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  const ready = new Promise<void>((resolve) => {
    child.stderr?.on('data', (data: Buffer) => {
      log += data.toString();
      if (log.includes('"msg":"ready"')) resolve();
    });
  });
  const failed = exited.then((code) => {
    throw new Error(`service ${name} ended with ${code}:\n${log.slice(-3000)}`);
  });
  failed.catch(() => undefined);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`service ${name} was not ready in 30 s:\n${log.slice(-3000)}`)), 30_000);
  });
  await Promise.race([ready, failed, late]).finally(() => clearTimeout(timer));
  return {
    pid: child.pid ?? -1,
    log: () => log,
    exited,
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
    async stop() {
      child.kill('SIGTERM');
      const hard = setTimeout(() => child.kill('SIGKILL'), 20_000);
      return exited.finally(() => clearTimeout(hard));
    },
  };
}

/** Ends a wait for what never comes, on a machine however busy. */
const PATIENCE_MS = 60_000;

type Ask<T> = () => Promise<T | null | undefined | false> | T | null | undefined | false;

/** Asks again until the answer is neither null, undefined nor false. `what` names it in the error. */
export async function waitFor<T>(what: string, ask: Ask<T>, ms?: number): Promise<T>;
export async function waitFor<T>(ask: Ask<T>, ms?: number): Promise<T>;
export async function waitFor<T>(...given: [string, Ask<T>, number?] | [Ask<T>, number?]): Promise<T> {
  const [what, ask, ms = PATIENCE_MS] =
    typeof given[0] === 'string'
      ? (given as [string, Ask<T>, number?])
      : ['what was waited for', ...(given as [Ask<T>, number?])];
  const deadline = Date.now() + ms;
  for (;;) {
    const answer = await ask();
    if (answer !== null && answer !== undefined && answer !== false) return answer;
    if (Date.now() > deadline) throw new Error(`${what} did not come in ${ms} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
