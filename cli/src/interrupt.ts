/** timeout(1) and some shells signal a process and its group: what comes at once is one interrupt. */
const SAME_MS = 300;

/** Ctrl-C (or SIGTERM) once asks the command to end in order; a second time ends it at once. */
export class Interrupt {
  private readonly controller = new AbortController();
  private readonly listener = (): void => this.arrived();
  /** What must not outlive the command, even on a second Ctrl-C. */
  private readonly lastActs: (() => void)[] = [];
  private firstAt = 0;

  constructor() {
    process.on('SIGINT', this.listener);
    process.on('SIGTERM', this.listener);
  }

  get signal(): AbortSignal {
    return this.controller.signal;
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
    process.off('SIGINT', this.listener);
    process.off('SIGTERM', this.listener);
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
