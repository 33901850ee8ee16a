import { encodedKindOf, type IEncodeSummary, type TensorKind } from '@atelier/contracts';
import type { StreamedEvent } from './follow';

/**
 * Tells which encoder events of its data set a run waited for: as many as its summary says, and each key once. What was
 * made for an earlier run on the data set, perhaps a moment ago, is nothing that this one waited for.
 */
export class RunEncodings {
  private readonly told = new Set<string>();
  private left: Record<TensorKind, number> | undefined;
  /** Events from before the summary, until that comes. */
  private early: StreamedEvent[] | undefined;

  /** @param late whether the reader comes in after the summary: then every event counts */
  constructor(late: boolean) {
    this.early = late ? undefined : [];
  }

  /** An encoder event, if the run waited for it. */
  *take(streamed: StreamedEvent): Generator<StreamedEvent> {
    if (this.early) this.early.push(streamed);
    else if (this.counts(streamed)) yield streamed;
  }

  /**
   * The run's summary, or none where its state came without one. Of the events until then those that came last are the
   * run's: the others were there when it asked.
   */
  *begin(summary: IEncodeSummary | null | undefined): Generator<StreamedEvent> {
    const { early } = this;
    if (!early) return;
    this.early = undefined;
    if (summary) {
      const { latentsTotal, latentsCached, promptsTotal, promptsCached } = summary;
      this.left = {
        latents: (latentsTotal ?? 0) - (latentsCached ?? 0),
        prompts: (promptsTotal ?? 0) - (promptsCached ?? 0),
      };
    }
    const own = new Set<string>();
    for (const streamed of [...early].reverse()) if (this.counts(streamed)) own.add(encodedKey(streamed.event)!.key);
    for (const streamed of early) if (own.delete(encodedKey(streamed.event)!.key)) yield streamed;
  }

  /** Whether the event is one the run waited for; then it is not again. */
  private counts({ event }: StreamedEvent): boolean {
    const { key, kind } = encodedKey(event)!;
    if (this.told.has(key) || (this.left && !(this.left[kind] > 0))) return false;
    this.told.add(key);
    if (this.left) this.left[kind] -= 1;
    return true;
  }
}

export function encodedKey({
  encodeReady,
  encodeFailed,
}: StreamedEvent['event']): { key: string; kind: TensorKind } | undefined {
  const told = encodeReady ?? encodeFailed;
  return told?.key ? { key: told.key, kind: encodedKindOf(told) as TensorKind } : undefined;
}
