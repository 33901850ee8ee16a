import { buckets, Manifest, RunState, type Event, type Run } from '@atelier/contracts';
import type { Connection } from './connection';
import { follow, untilTrue, type FollowOptions, type StreamedEvent } from './events';
import { findRun } from './finetunes';
import { isRunOver } from './states';
import { toDate } from './times';

/** Clocks of the machine that noted the run and of the one that keeps the events may differ by this much. */
const CLOCK_SKEW_MS = 60_000;

/**
 * Events of a run from its first on, ending with the one that says how it ended. What the encoders do for it is among them:
 * their events name a key, not a run, because one key may serve many runs; the run's manifest says which keys are its own.
 */
export async function* runEvents(connection: Connection, key: string, options: FollowOptions = {}): AsyncGenerator<StreamedEvent> {
  const run = await findRun(connection, key);
  const created = toDate(run.createdAt);
  const events = follow(connection, {
    filter: 'events.>',
    from: created ? new Date(created.getTime() - CLOCK_SKEW_MS) : 'all',
    isLast: (event) => event.runState?.runId === run.id && isRunOver({ state: event.runState.state ?? undefined }),
    over: (signal) => untilTrue(connection.runs.watch(run.id, { signal }), isRunOver),
    ...options,
  });
  let keys = await keysOf(connection, run);
  let waiting: StreamedEvent[] = [];
  for await (const streamed of events) {
    const { event, subject } = streamed;
    const encoded = encodedKey(event);
    if (encoded !== undefined) {
      if (!keys) waiting.push(streamed);
      else if (keys.has(encoded)) yield streamed;
    } else if (subject.startsWith(`events.run.${run.id}.`)) {
      if (!keys && event.runState && event.runState.state !== RunState.RUN_STATE_QUEUED) {
        keys = await keysOf(connection, await findRun(connection, run.id));
        for (const early of waiting) if (keys?.has(encodedKey(early.event) ?? '')) yield early;
        waiting = [];
      }
      yield streamed;
    }
  }
}

function encodedKey({ encodeReady, encodeFailed }: Event): string | undefined {
  return (encodeReady ?? encodeFailed)?.key ?? undefined;
}

/** Every key of the run's manifest, once it has one. */
async function keysOf({ blobs }: Connection, { manifest }: Run): Promise<Set<string> | undefined> {
  if (!manifest) return undefined;
  const { samples } = Manifest.decode(await blobs.get(buckets.blobs.manifests, manifest));
  return new Set(samples.flatMap(({ latentsKey, promptsKey }) => [latentsKey ?? '', promptsKey ?? '']));
}
