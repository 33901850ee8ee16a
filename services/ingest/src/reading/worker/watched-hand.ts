import { AsyncLocalStorage } from 'node:async_hooks';
import { asBadFile, BadFile, type InHand } from '../../readers';
import type { FromReader } from '../messages';

/** Errors of the disk or of the system: not the file's fault, and perhaps gone at the next try. */
const OURS = new Set(['ENOSPC', 'EDQUOT', 'EIO', 'EROFS', 'EMFILE', 'ENFILE', 'ENOMEM']);

/**
 * Tells the service what is in hand, before it is begun, and leaves out what an earlier reader came to grief over. A
 * failure that nobody waits for (a library that starts two things and looks at one) is the failure of the file in whose
 * reading it was started.
 */
export class WatchedHand implements InHand {
  private readonly context = new AsyncLocalStorage<(error: unknown) => void>();

  constructor(
    private readonly send: (message: FromReader) => Promise<void>,
    private readonly without: ReadonlyMap<string, string>,
  ) {}

  async over<T>(item: string, work: () => Promise<T>): Promise<T> {
    const reason = this.without.get(item);
    if (reason !== undefined) throw new BadFile(reason);
    await this.send({ kind: 'at', item });
    try {
      return await new Promise<T>((resolve, reject) => {
        this.context.run(reject, () => void work().then(resolve, reject));
      });
    } catch (error) {
      throw OURS.has((error as NodeJS.ErrnoException).code ?? '') ? error : asBadFile('cannot be read', error);
    } finally {
      await this.send({ kind: 'past', item });
    }
  }

  progress(): void {
    this.send({ kind: 'progress' }).catch(() => undefined); // whoever is not there any more need not know
  }

  /**
   * For 'unhandledRejection', which comes in the context that the promise was made in. One from nowhere ends the
   * process.
   */
  stray(error: unknown): void {
    const fail = this.context.getStore();
    if (!fail) throw error;
    fail(error);
  }
}
