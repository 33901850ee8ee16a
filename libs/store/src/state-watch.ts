import { setTimeout as sleep } from 'node:timers/promises';
import type { StateStore } from './state';

const AGAIN_MS = 500;

/** Follows one state while something long is done for it: `met` is raised when the condition holds, also after the mesh was away. */
export class StateWatch<T> {
  private readonly stop = new AbortController();
  private readonly meeting = new AbortController();
  private readonly following: Promise<void>;

  constructor(
    private readonly store: Pick<StateStore<T>, 'watch'>,
    private readonly id: string,
    private readonly condition: (value: T) => boolean,
  ) {
    this.following = this.follow();
  }

  get met(): AbortSignal {
    return this.meeting.signal;
  }

  async close(): Promise<void> {
    this.stop.abort();
    await this.following;
  }

  private async follow(): Promise<void> {
    const { signal } = this.stop;
    while (!signal.aborted) {
      try {
        for await (const value of this.store.watch(this.id, { signal })) {
          if (this.condition(value)) {
            this.meeting.abort(new Error(`${this.id} is to end`));
            return;
          }
        }
      } catch {
        // The mesh is away: watched anew when it is back.
      }
      await sleep(AGAIN_MS, undefined, { signal }).catch(() => undefined);
    }
  }
}
