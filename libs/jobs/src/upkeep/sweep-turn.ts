import { randomUUID } from 'node:crypto';
import { AtelierError, buckets, Cleared, Sweep as SweepState, timestamp, toDate } from '@atelier/contracts';
import { isStoreFull, type Mesh } from '@atelier/mesh';
import { StateStore } from '@atelier/store';
import type { Counted } from './tally';

const KEY = 'last';
/** Who has not said for so long that it goes on is taken for dead. */
const DEAD_MS = 60_000;
const RENEW_MS = 15_000;

/**
 * Whose turn it is to sweep, of many who would: one at a time, and not sooner than an interval after the last. By the
 * wall clocks of those who ask, which costs no more than a sweep too many: two at once do no harm. So a store that is too
 * full to note it is swept all the same, which may be what makes room in it.
 */
export class SweepTurn {
  private readonly store: StateStore<SweepState>;
  private readonly holder = randomUUID();
  /** There was no room to note it. */
  private unnoted = false;

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
    try {
      const now = await this.store.put(KEY, (former) => (former && !isDue(former, intervalMs) ? null : mine));
      return now.holder === this.holder && !now.finishedAt;
    } catch (error) {
      if (!isStoreFull(error)) throw error;
      this.unnoted = true;
      return true;
    }
  }

  /** Throws ABORTED where another has taken it for dead. */
  async goesOn(): Promise<void> {
    await this.write({ aliveAt: timestamp() });
  }

  /** Keeps the turn while something is done that may take long without a word. */
  async during<T>(act: () => Promise<T>): Promise<T> {
    // What fails is tried again at the next, and whether another has the turn by now is asked before more is cleared.
    const timer = setInterval(() => void this.goesOn().catch(() => undefined), RENEW_MS).unref();
    try {
      return await act();
    } finally {
      clearInterval(timer);
    }
  }

  async end(cleared: readonly Counted[]): Promise<void> {
    await this.write({ finishedAt: timestamp(), cleared: cleared.map((each) => Cleared.create(each)) });
  }

  private async write(change: Partial<SweepState>): Promise<void> {
    try {
      const now = await this.store.put(KEY, (current) => this.changed(current, change));
      if (now.holder === this.holder) this.unnoted = false;
    } catch (error) {
      if (!isStoreFull(error)) throw error;
    }
  }

  /** null: another sweeps, too, and is to go on undisturbed. */
  private changed(current: SweepState | null, change: Partial<SweepState>): SweepState | null {
    if (current?.holder === this.holder) return SweepState.create({ ...current, ...change });
    if (!this.unnoted) throw new AtelierError('ABORTED', 'another sweeps by now');
    if (current && !isDue(current, 0)) return null;
    return SweepState.create({ holder: this.holder, aliveAt: timestamp(), ...change });
  }
}

function isDue({ aliveAt, finishedAt }: SweepState, intervalMs: number): boolean {
  const finished = toDate(finishedAt);
  if (finished) return Date.now() - finished.getTime() >= intervalMs;
  return Date.now() - (toDate(aliveAt)?.getTime() ?? 0) >= DEAD_MS;
}
