import { buckets, eventFilters, Manifest, RunState, toDate, type IEncodeSummary, type Run } from '@atelier/contracts';
import type { Mesh } from '@atelier/mesh';
import { BlobStore } from '@atelier/store';
import { follow, untilTrue, type FollowOptions, type StreamedEvent } from './follow';
import { encodedKey, RunEncodings } from './run-encodings';
import type { Runs } from './runs';
import { isRunOver } from './states';

/** Clocks of the machine that noted the run and of the one that keeps the events may differ by this much. */
const CLOCK_SKEW_MS = 60_000;

/**
 * Events of a run from its first on, ending with the one that says how it ended. What the encoders do for it is among them:
 * their events name a key, not a run; run-encodings.ts tells which are this run's.
 */
export async function* runEvents(
  mesh: Mesh,
  runs: Runs,
  run: Run,
  options: FollowOptions = {},
): AsyncGenerator<StreamedEvent> {
  const blobs = new BlobStore(mesh);
  const created = toDate(run.createdAt);
  const events = follow(mesh, {
    filter: eventFilters.all,
    from: created ? new Date(created.getTime() - CLOCK_SKEW_MS) : 'all',
    isLast: (event) => event.runState?.runId === run.id && isRunOver({ state: event.runState.state ?? undefined }),
    over: (signal) => untilTrue(runs.states(run.id, signal), isRunOver),
    ...options,
  });
  let keys = await keysOf(blobs, run);
  let summary: IEncodeSummary | undefined;
  let encodings = keys && options.after !== undefined ? new RunEncodings(keys) : undefined;
  const waiting: StreamedEvent[] = [];
  for await (const streamed of events) {
    const { event, subject } = streamed;
    if (encodedKey(event)) {
      if (!encodings) waiting.push(streamed);
      else if (encodings.takes(event)) yield streamed;
    } else if (subject.startsWith(eventFilters.run(run.id).slice(0, -1))) {
      summary ??= event.encodeSummary ?? undefined;
      if (!keys && event.runState && event.runState.state !== RunState.RUN_STATE_QUEUED)
        keys = await keysOf(blobs, await runs.get(run.id));
      if (!encodings && keys && (summary || event.runState)) {
        encodings = new RunEncodings(keys, summary);
        yield* encodings.early(waiting.splice(0));
      }
      yield streamed;
    }
  }
}

/** Every key of the run's manifest, once it has one. */
async function keysOf(blobs: BlobStore, { manifest }: Run): Promise<Set<string> | undefined> {
  if (!manifest) return undefined;
  const { samples } = Manifest.decode(await blobs.get(buckets.blobs.manifests, manifest));
  return new Set(samples.flatMap(({ latentsKey, promptsKey }) => [latentsKey ?? '', promptsKey ?? '']));
}
