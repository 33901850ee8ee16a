import { encodedKindOf, type IEncodeSummary, type TensorKind } from '@atelier/contracts';
import type { StreamedEvent } from './events';

type Kind = TensorKind;

/**
 * Tells which encoder events are a run's own. They name a key, and a key serves many runs: one that was made for an earlier run, perhaps a
 * moment ago, is nothing that this run waited for. The run's summary says how many it waits for; each key counts once, however often it is asked for.
 */
export class RunEncodings {
  private readonly told = new Set<string>();
  private readonly left: Record<Kind, number> | undefined;

  /** @param summary none for a reader who comes in after it: then every event of the run's keys counts */
  constructor(
    private readonly keys: ReadonlySet<string>,
    summary?: IEncodeSummary,
  ) {
    if (!summary) return;
    const { latentsTotal, latentsCached, promptsTotal, promptsCached } = summary;
    this.left = {
      latents: (latentsTotal ?? 0) - (latentsCached ?? 0),
      prompts: (promptsTotal ?? 0) - (promptsCached ?? 0),
    };
  }

  /** Of the events from before the run had its manifest, those of the keys that came last: the others were there when it asked. */
  early(events: readonly StreamedEvent[]): StreamedEvent[] {
    const wanted = new Set<string>();
    for (const { event } of [...events].reverse()) {
      const { key } = encodedKey(event)!;
      if (!wanted.has(key) && this.takes(event)) wanted.add(key);
    }
    const seen = new Set<string>();
    return events.filter(({ event }) => {
      const { key } = encodedKey(event)!;
      return wanted.has(key) && !seen.has(key) && seen.add(key);
    });
  }

  /** Whether the event is one the run waited for; then it is not again. */
  takes(event: StreamedEvent['event']): boolean {
    const { key, kind } = encodedKey(event)!;
    if (!this.keys.has(key) || this.told.has(key) || (this.left && !(this.left[kind] > 0))) return false;
    this.told.add(key);
    if (this.left) this.left[kind] -= 1;
    return true;
  }
}

export function encodedKey({
  encodeReady,
  encodeFailed,
}: StreamedEvent['event']): { key: string; kind: Kind } | undefined {
  const told = encodeReady ?? encodeFailed;
  return told?.key ? { key: told.key, kind: encodedKindOf(told) as Kind } : undefined;
}
