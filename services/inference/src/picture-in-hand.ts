/** What decoding takes and storing, in steps: about as much on a card, less on the CPU. */
const AFTER_LAST_STEP = 2;

/**
 * One picture while it is drawn. When the service is asked to stop it comes to its end if what is left of it fits the
 * grace, by the pace of its last step; else it is put down at once, rather than at the end of a grace in vain.
 */
export class PictureInHand {
  private readonly putDown = new AbortController();
  private readonly onStop = (): void => this.decide();
  private done = 0;
  private stepMs = 0;
  private steppedAt = Date.now();
  private timer?: NodeJS.Timeout;

  constructor(
    private readonly steps: number,
    private readonly graceMs: number,
    private readonly stopping: AbortSignal,
  ) {
    if (stopping.aborted) this.onStop();
    else stopping.addEventListener('abort', this.onStop, { once: true });
  }

  /** Raised when it is to be put down. */
  get signal(): AbortSignal {
    return this.putDown.signal;
  }

  step(done: number): void {
    const now = Date.now();
    this.stepMs = now - this.steppedAt;
    this.steppedAt = now;
    this.done = done;
  }

  close(): void {
    this.stopping.removeEventListener('abort', this.onStop);
    clearTimeout(this.timer);
  }

  private decide(): void {
    const left = (this.steps - this.done + AFTER_LAST_STEP) * this.stepMs;
    if (this.done === 0 || left > this.graceMs) this.putDown.abort(this.stopping.reason);
    else this.timer = setTimeout(() => this.putDown.abort(this.stopping.reason), this.graceMs);
  }
}
