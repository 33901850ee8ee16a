/** Turns pushed items into an async iterable. One reader; a failure reaches it after nothing more. */
export class FileQueue<T> implements AsyncIterable<T> {
  private readonly items: T[] = [];
  private readonly listeners: ((error: Error) => void)[] = [];
  private wake: () => void = () => undefined;
  private ended = false;
  failure: Error | undefined;
  started = false;

  push(item: T): void {
    this.started = true;
    this.items.push(item);
    this.wake();
  }

  end(): void {
    this.ended = true;
    this.wake();
  }

  /** The first failure counts. */
  fail(error: Error): void {
    if (this.failure || this.ended) return;
    this.failure = error;
    for (const listener of this.listeners) listener(error);
    this.wake();
  }

  onFail(listener: (error: Error) => void): void {
    this.listeners.push(listener);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for (;;) {
      if (this.failure) throw this.failure;
      const item = this.items.shift();
      if (item !== undefined) yield item;
      else if (this.ended) return;
      else await new Promise<void>((resolve) => (this.wake = resolve));
    }
  }
}
