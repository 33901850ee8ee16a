/**
 * Who reads now. A few data sets are read at once, so that a huge one is no outage for the others; one and the same
 * never twice at once, since whoever comes second finds it read and takes no place meanwhile.
 */
export class Turns {
  private readonly queues = new Map<string, Promise<unknown>>();
  private readonly waiting: (() => void)[] = [];
  private free: number;

  constructor(atOnce: number) {
    this.free = atOnce;
  }

  /** Rejects with the signal's reason when that comes before the turn does. */
  async run<T>(key: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const before = this.queues.get(key);
    let leave!: () => void;
    const mine = Promise.all([before, new Promise<void>((resolve) => (leave = resolve))]);
    this.queues.set(key, mine);
    try {
      await unless(signal, before);
      await this.place(signal);
      try {
        return await work();
      } finally {
        this.next();
      }
    } finally {
      leave();
      if (this.queues.get(key) === mine) this.queues.delete(key);
    }
  }

  private async place(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.free > 0) {
      this.free -= 1;
      return;
    }
    let given!: () => void;
    const place = new Promise<void>((resolve) => (given = resolve));
    this.waiting.push(given);
    try {
      await unless(signal, place);
    } catch (error) {
      const at = this.waiting.indexOf(given);
      if (at >= 0) this.waiting.splice(at, 1);
      else this.next(); // it was given at the very moment
      throw error;
    }
  }

  private next(): void {
    const given = this.waiting.shift();
    if (given) given();
    else this.free += 1;
  }
}

async function unless(signal: AbortSignal, awaited: Promise<unknown> | undefined): Promise<void> {
  signal.throwIfAborted();
  let stop!: () => void;
  const stopped = new Promise<never>((_resolve, reject) => {
    stop = () => reject(signal.reason as Error);
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    await Promise.race([awaited, stopped]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
