import { privately } from '@atelier/mesh';
import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import { join } from 'node:path';
import { isOutOfHandles, NO_HANDLES } from '../no-handles';
import type { ServiceLog } from './service-log';

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 30_000;
/** One that lived this long was well: its next restart is quick again. */
const HEALTHY_MS = 60_000;
/** The trainer saves its state when asked to stop; with a large adapter this takes a while. */
const STOP_MS = 60_000;

/** The same from src/ (tests) and from dist/. */
const PRELOAD = join(__dirname, '..', '..', 'dist', 'local', 'end-with-parent.js');

export interface ServiceOptions {
  name: string;
  main: string;
  env: NodeJS.ProcessEnv;
  log: ServiceLog;
  /** An end that nobody asked for, and in how many milliseconds it is started again. */
  onEnd: (how: string, restartMs: number) => void;
}

/** A service as a child process that is started again whenever it ends unasked, later each time it does so at once. */
export class ServiceProcess {
  private child?: ChildProcess;
  private delay = FIRST_DELAY_MS;
  private timer?: NodeJS.Timeout;
  private stopping = false;
  private exited: Promise<void> = Promise.resolve();
  /** Its ends so far, those asked for not counted. */
  ends = 0;

  constructor(private readonly options: ServiceOptions) {}

  get name(): string {
    return this.options.name;
  }

  get pid(): number | undefined {
    return this.child?.pid;
  }

  get lastWords(): string {
    return this.options.log.lastWords;
  }

  start(): void {
    const { main, env, log } = this.options;
    const born = Date.now();
    // A process group of its own: Ctrl-C in the terminal reaches up alone, which ends the services in order.
    const options = { env, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] as StdioOptions, detached: true };
    const child = privately(() => spawn(process.execPath, ['--require', PRELOAD, main], options));
    this.child = child;
    child.stdout?.setEncoding('utf8').on('data', (text: string) => log.write(text));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => log.write(text));
    this.exited = new Promise((resolve) => {
      let over = false;
      const end = (how: string): void => {
        if (over) return;
        over = true;
        resolve();
        if (!this.stopping) this.restart(how, Date.now() - born);
      };
      child.once('error', (error) => {
        const why = isOutOfHandles(error) ? NO_HANDLES : error.message;
        log.write(`${why}\n`);
        // it was never there, for want of memory or of handles: nothing else will tell
        if (child.pid === undefined) end(why);
      });
      child.once('close', (code, signal) => end(signal ?? `code ${code}`));
    });
  }

  /** Asks it to end and waits until it has. */
  async stop(): Promise<void> {
    this.stopping = true;
    clearTimeout(this.timer);
    this.child?.kill('SIGTERM');
    const hard = setTimeout(() => this.child?.kill('SIGKILL'), STOP_MS);
    await this.exited;
    clearTimeout(hard);
    this.options.log.end();
  }

  kill(): void {
    this.stopping = true;
    clearTimeout(this.timer);
    this.child?.kill('SIGKILL');
  }

  private restart(how: string, lived: number): void {
    this.ends += 1;
    this.delay = lived > HEALTHY_MS ? FIRST_DELAY_MS : Math.min(this.delay * (this.ends > 1 ? 2 : 1), LONGEST_DELAY_MS);
    this.options.onEnd(how, this.delay);
    this.timer = setTimeout(() => this.start(), this.delay);
  }
}
