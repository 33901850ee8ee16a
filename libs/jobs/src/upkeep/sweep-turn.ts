import { randomUUID } from 'node:crypto';
import { AtelierError, buckets, Cleared, Sweep as SweepState, timestamp, toDate } from '@atelier/contracts';
import type { Mesh } from '@atelier/mesh';
import { StateStore } from '@atelier/store';
import type { Counted } from './tally';

const KEY = 'last';
/** Who has not said for so long that it goes on is taken for dead. */
const DEAD_MS = 60_000;

/**
 * Whose turn it is to sweep, of many who would: one at a time, and not sooner than an interval after the last. By the
 * wall clocks of those who ask, which costs no more than a sweep too many: two at once do no harm.
 */
export class SweepTurn {
  private readonly store: StateStore<SweepState>;
  private readonly holder = randomUUID();

  constructor(mesh: Mesh) {
    this.store = new StateStore(mesh, buckets.state.sweeps, SweepState);
  }

  /** The sweep that is under way, or the last. */
  async last(): Promise<SweepState | undefined> {
    return (await this.store.get(KEY))?.value;
  }

  /** @returns false where another sweeps, or has swept within the interval */
  async take(intervalMs: number): Promise<boolean> {
    const mine = SweepState.create({ holder: this.holder, aliveAt: timestamp() });
    const now = await this.store.put(KEY, (former) => (former && !isDue(former, intervalMs) ? null : mine));
    return now.holder === this.holder && !now.finishedAt;
  }

  /** Throws ABORTED where another has taken it for dead. */
  async goesOn(): Promise<void> {
    await this.write({ aliveAt: timestamp() });
  }

  async end(cleared: readonly Counted[]): Promise<void> {
    await this.write({ finishedAt: timestamp(), cleared: cleared.map((each) => Cleared.create(each)) });
  }

  private async write(change: Partial<SweepState>): Promise<void> {
    await this.store.update(KEY, (current) => {
      if (current.holder !== this.holder) throw new AtelierError('ABORTED', 'another sweeps by now');
      return SweepState.create({ ...current, ...change });
    });
  }
}

function isDue({ aliveAt, finishedAt }: SweepState, intervalMs: number): boolean {
  const finished = toDate(finishedAt);
  if (finished) return Date.now() - finished.getTime() >= intervalMs;
  return Date.now() - (toDate(aliveAt)?.getTime() ?? 0) >= DEAD_MS;
}
