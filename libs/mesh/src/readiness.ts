import { Injectable } from '@nestjs/common';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from './logging';

/**
 * What was found a moment ago still counts: probes and work come every few seconds, and a look reads a dozen files. All
 * well counts for longer, since work that fails looks again.
 */
const FRESH_MS = { unmet: 2000, met: 15_000 };
const PAUSE_MS = 1000;

/**
 * What a service needs for its work beside the mesh: a checkpoint, a card. While one of them is missing it is not ready
 * and takes no work, and what fails meanwhile is not the work's fault.
 */
@Injectable()
export class Readiness {
  private readonly needs = new Map<string, () => Promise<unknown>>();
  private last?: { until: number; unmet: Promise<string[]> };
  private told = '';

  constructor(private readonly logger?: Logger) {}

  /**
   * @param what one need, by a name for people
   * @param look rejects while it is not met, with the reason and the remedy; asked every few seconds
   */
  needsFor(what: string, look: () => Promise<unknown>): void {
    this.needs.set(what, look);
    this.last = undefined;
  }

  /** Why the service cannot work, a sentence for each need; none: it can. As of a few seconds ago at most. */
  unmet(): Promise<string[]> {
    if (this.last && Date.now() <= this.last.until) return this.last.unmet;
    return this.look();
  }

  /** The same as of now. */
  look(): Promise<string[]> {
    const unmet = this.ask();
    const last = { until: Date.now() + FRESH_MS.unmet, unmet };
    this.last = last;
    void unmet.then((reasons) => (last.until = Date.now() + (reasons.length > 0 ? FRESH_MS.unmet : FRESH_MS.met)));
    return unmet;
  }

  /** Resolves when every need is met, or at the signal. */
  async forWork(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const unmet = await this.unmet();
      if (unmet.length === 0) return;
      await sleep(PAUSE_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  private async ask(): Promise<string[]> {
    const asked = [...this.needs].map(async ([what, look]) => {
      try {
        await look();
        return [];
      } catch (error) {
        return [`${what}: ${(error as Error).message}`];
      }
    });
    const unmet = (await Promise.all(asked)).flat();
    this.tell(unmet.join('; '));
    return unmet;
  }

  /** Once for each change. */
  private tell(reason: string): void {
    if (reason === this.told) return;
    this.told = reason;
    if (reason) this.logger?.warn({ reason }, 'takes no work until this is mended');
    else this.logger?.info('has all that it needs, and takes work');
  }
}
