import type { Handle } from './addon';
import { asEngineError } from './errors';
import { addon } from './load';

/** A native object in use. `dispose` waits for its calls in flight, then frees it; later calls reject with FAILED_PRECONDITION. */
export abstract class Loaded<H extends Handle<string>> {
  /** @internal told when the object is to be disposed */
  onDispose?: () => void;

  /** @internal */
  constructor(
    /** @internal for the other classes of this package */
    readonly handle: H,
  ) {}

  /** May be called again at any time. */
  async dispose(): Promise<void> {
    this.onDispose?.();
    await addon()
      .dispose(this.handle)
      .catch((error: unknown) => {
        throw asEngineError(error);
      });
  }
}
