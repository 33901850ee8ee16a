import { setTimeout as sleep } from 'node:timers/promises';
import { isOver, type RunStates } from './run-states';

const AGAIN_MS = 500;

/** Follows a run's state while it trains: `ended` is raised when someone asks for its end, or it was ended elsewhere. */
export class RunWatch {
  private readonly stop = new AbortController();
  private readonly ending = new AbortController();
  private readonly following: Promise<void>;

  constructor(
    private readonly runs: RunStates,
    private readonly id: string,
  ) {
    this.following = this.follow();
  }

  get ended(): AbortSignal {
    return this.ending.signal;
  }

  async close(): Promise<void> {
    this.stop.abort();
    await this.following;
  }

  private async follow(): Promise<void> {
    while (!this.stop.signal.aborted) {
      try {
        for await (const run of this.runs.watch(this.id, this.stop.signal)) {
          if (run.cancelRequested || isOver(run)) return this.ending.abort(new Error(`run ${this.id} is to end`));
        }
      } catch {
        // The mesh is away: watched anew when it is back.
      }
      await sleep(AGAIN_MS, undefined, { signal: this.stop.signal }).catch(() => undefined);
    }
  }
}
