/** timeout(1) and some shells signal a process and its group: what comes at once is one interrupt. */
const SAME_MS = 300;

/** Ctrl-C (or SIGTERM) once asks the command to end in order; a second time ends it at once. */
export class Interrupt {
  private static current?: Interrupt;
  private readonly controller = new AbortController();
  private readonly listener = (): void => this.arrived();
  /** What must not outlive the command, even on a second Ctrl-C. */
  private readonly lastActs: (() => void)[] = [];
  private owns = false;
  private firstAt = 0;

  constructor() {
    process.on('SIGINT', this.listener);
    process.on('SIGTERM', this.listener);
    Interrupt.current = this;
  }

  /** Whoever read the output is gone. A command that only watches has no more to do; one that started services ends them first. */
  static readerLeft(): void {
    if (Interrupt.current?.owns) Interrupt.current.arrived();
    else process.exit(0);
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  /** The command starts processes that shall end with it: a closed terminal is an interrupt too, where it otherwise only ends the watching. */
  ownProcesses(): void {
    if (this.owns) return;
    this.owns = true;
    process.on('SIGHUP', this.listener);
  }

  beforeKill(act: () => void): void {
    this.lastActs.push(act);
  }

  /** Resolves at the first interrupt. */
  arrival(): Promise<void> {
    if (this.signal.aborted) return Promise.resolve();
    return new Promise((resolve) => this.signal.addEventListener('abort', () => resolve(), { once: true }));
  }

  dispose(): void {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.off(signal, this.listener);
    if (Interrupt.current === this) Interrupt.current = undefined;
  }

  private arrived(): void {
    if (!this.signal.aborted) {
      this.firstAt = Date.now();
      return this.controller.abort();
    }
    if (Date.now() - this.firstAt < SAME_MS) return;
    for (const act of this.lastActs) act();
    process.exit(130);
  }
}
