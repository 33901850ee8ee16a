import { Refused } from '../../support/api';

/** No state may stand still for longer once nothing disturbs any more. */
const STUCK_MS = 60_000;
const POLL_MS = 250;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** What was acknowledged did not come to its end, or not to the right one. */
export class Fault extends Error {}

/** Waits as a person does that sees progress or none; knows since when nothing disturbs. */
export class Patience {
  private calmSince = Infinity;
  /** The longest that anything stood still in the calm. Seconds. */
  longest = 0;

  calm(): void {
    this.calmSince = Date.now();
  }

  /** Asks until it is over. Throws Fault where what it shows stays the same for a minute that nothing disturbs. */
  async watch<T>(
    what: string,
    look: () => Promise<T>,
    { over, shows }: { over: (seen: T) => boolean; shows: (seen: T) => string },
  ): Promise<T> {
    let shown = '';
    let since = Date.now();
    for (;;) {
      const seen = await this.answered(what, look);
      const now = shows(seen);
      if (now !== shown) [shown, since] = [now, Date.now()];
      if (over(seen)) return seen;
      this.still(`${what} stays ${shown}`, since);
      await sleep(POLL_MS);
    }
  }

  /** Tries again, as a client does, when a connection broke or the gateway says 5xx: neither tells whether it was done. */
  async answered<T>(what: string, act: () => Promise<T>): Promise<T> {
    const since = Date.now();
    for (;;) {
      try {
        return await act();
      } catch (error) {
        if (error instanceof Refused && error.status < 500) throw error;
        this.still(`${what} has no answer (${(error as Error).message})`, since);
        await sleep(POLL_MS);
      }
    }
  }

  private still(what: string, since: number): void {
    const still = Date.now() - Math.max(since, this.calmSince);
    if (still <= 0) return;
    this.longest = Math.max(this.longest, still / 1000);
    if (still > STUCK_MS) throw new Fault(`${what} for a minute`);
  }
}
