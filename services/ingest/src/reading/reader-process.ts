import { fork, type ChildProcess } from 'node:child_process';
import { on } from 'node:events';
import { join } from 'node:path';
import { causeOf, type Death, type ReaderLimits } from './deaths';
import type { FromReader, ReadingJob, ToReader } from './messages';

/** The same from src/ (tests) and from dist/. */
const MAIN = join(__dirname, '..', '..', 'dist', 'reading', 'worker', 'main.js');

/** What of the service's environment a reader needs. Tokens and addresses it does not. */
const ENVIRONMENT = ['PATH', 'LD_LIBRARY_PATH', 'LANG', 'LC_ALL', 'TZ'];

const LAST_WORDS = 8192;

/** Its own start counts for no file: on a busy machine it may take a while. */
const START_SECONDS = 60;

/** One reader process, from the service's side: its messages, its limits, its end. */
export class ReaderProcess {
  private readonly child: ChildProcess;
  private readonly inHand = new Set<string>();
  private readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  private lastWords = '';
  private begun = false;
  private late = false;

  /** @param tempFolder where libraries may put what they do not want in memory */
  constructor(
    private readonly limits: ReaderLimits,
    tempFolder: string,
  ) {
    const { memoryBytes, program = MAIN } = limits;
    const env: NodeJS.ProcessEnv = { TMPDIR: tempFolder, MALLOC_ARENA_MAX: '2' };
    for (const name of ENVIRONMENT) if (process.env[name] !== undefined) env[name] = process.env[name];
    this.child = fork(program, [String(memoryBytes), String(process.pid)], {
      env,
      execArgv: [`--max-old-space-size=${Math.ceil((memoryBytes * 0.75) / 2 ** 20)}`],
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    this.child.stderr
      ?.setEncoding('utf8')
      .on('data', (text: string) => (this.lastWords = (this.lastWords + text).slice(-LAST_WORDS)));
    this.ended = new Promise((resolve) => {
      this.child.once('close', (code, signal) => resolve({ code, signal }));
      this.child.once('error', ({ message }) => {
        this.lastWords += message;
        if (this.child.pid === undefined) resolve({ code: null, signal: null }); // never began
      });
    });
  }

  /** Gives it its work. @returns what it says, until it says that it is through or is gone */
  async *work(job: ReadingJob): AsyncGenerator<FromReader> {
    const messages = on(this.child, 'message', { close: ['close', 'error'] }) as AsyncIterableIterator<[FromReader]>;
    this.send({ kind: 'job', job });
    try {
      for (let next = await this.nextOf(messages); !next.done; next = await this.nextOf(messages)) {
        const [message] = next.value;
        if (message.kind === 'at') this.inHand.add(message.item);
        else if (message.kind === 'past') this.inHand.delete(message.item);
        yield message;
        if (message.kind === 'end') return;
      }
    } finally {
      await messages.return?.();
    }
  }

  /**
   * Time counts while we wait for it; while it waits for us (a file out of the store, a picture into it) it does not.
   */
  private async nextOf(messages: AsyncIterableIterator<[FromReader]>): Promise<IteratorResult<[FromReader]>> {
    const { fileSeconds } = this.limits;
    const clock = setTimeout(
      () => {
        this.late = true;
        this.kill();
      },
      1000 * (this.begun ? fileSeconds : Math.max(fileSeconds, START_SECONDS)),
    );
    try {
      const next = await messages.next();
      this.begun = true;
      return next;
    } catch {
      return { done: true, value: undefined }; // it could not be started: its end says why
    } finally {
      clearTimeout(clock);
    }
  }

  send(message: ToReader): void {
    // One that is gone cannot be told: that it is, shows at the end of its messages.
    if (this.child.connected) this.child.send(message, () => undefined);
  }

  kill(): void {
    this.child.kill('SIGKILL');
  }

  /** Waits until it is gone. */
  async death(): Promise<Death> {
    const { code, signal } = await this.ended;
    const cause = this.late ? 'time' : causeOf(signal, this.lastWords);
    return {
      cause,
      how: signal ?? (code === null ? 'not started' : `code ${code}`),
      inHand: [...this.inHand],
      lastWords: this.lastWords,
    };
  }
}
