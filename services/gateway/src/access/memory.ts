/** A number of bytes that requests take turns to hold: in the order in which they asked, each as soon as it fits. */
export class Memory {
  private held = 0;
  private readonly waiting: { bytes: number; go: () => void }[] = [];

  constructor(private readonly total: number) {}

  /** Resolves when there are so many; more than there are at all stand for all of them. Rejects with the signal's reason. */
  async take(asked: number, signal: AbortSignal): Promise<() => void> {
    const bytes = Math.min(asked, this.total);
    await new Promise<void>((resolve, reject) => {
      signal.throwIfAborted();
      const turn = { bytes, go: resolve };
      this.waiting.push(turn);
      signal.addEventListener('abort', () => {
        const at = this.waiting.indexOf(turn);
        if (at < 0) return; // its turn has come, and whoever has it gives it back
        this.waiting.splice(at, 1);
        reject(signal.reason as Error);
        this.next();
      });
      this.next();
    });
    let isHeld = true;
    return () => {
      if (isHeld) this.held -= bytes;
      isHeld = false;
      this.next();
    };
  }

  private next(): void {
    for (let first = this.waiting[0]; first && this.held + first.bytes <= this.total; first = this.waiting[0]) {
      this.held += first.bytes;
      this.waiting.shift();
      first.go();
    }
  }
}
