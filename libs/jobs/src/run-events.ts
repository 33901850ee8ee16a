import { eventFilters, isOfRun, streams, toDate, type Run } from '@atelier/contracts';
import type { Mesh } from '@atelier/mesh';
import { follow, untilTrue, type FollowOptions, type StreamedEvent } from './follow';
import { encodedKey, RunEncodings } from './run-encodings';
import type { Runs } from './runs';
import { isRunOver } from './states';

/** Clocks of the machine that noted the run and of the one that keeps the events may differ by this much. */
const CLOCK_SKEW_MS = 60_000;

/**
 * Events of a run from its first on, ending with the one that says how it ended. What the encoders do for it is among
 * them: they tell of its data set.
 */
export async function* runEvents(
  mesh: Mesh,
  runs: Runs,
  run: Run,
  options: FollowOptions = {},
): AsyncGenerator<StreamedEvent> {
  const created = toDate(run.createdAt);
  const events = follow(mesh, {
    filter: await filterOf(mesh, run),
    from: created ? new Date(created.getTime() - CLOCK_SKEW_MS) : 'all',
    isLast: (event) => event.runState?.runId === run.id && isRunOver({ state: event.runState.state ?? undefined }),
    over: (signal) => untilTrue(runs.states(run.id, signal), isRunOver),
    ...options,
  });
  const encodings = new RunEncodings(options.after !== undefined);
  for await (const streamed of events) {
    const { event, subject } = streamed;
    if (encodedKey(event)) yield* encodings.take(streamed);
    else if (isOfRun(subject, run.id)) {
      if (event.encodeSummary || event.runState) yield* encodings.begin(event.encodeSummary);
      yield streamed;
    }
  }
}

/** One filter, since nats-server 2.9 takes no more. A run that an older version told of is read without its encoders. */
async function filterOf({ jsm }: Mesh, { id, datasetId }: Run): Promise<string> {
  const older = eventFilters.runWithoutDataset(id);
  const { state } = await jsm.streams.info(streams.EVENTS, { subjects_filter: older });
  const isOlder = !datasetId || Object.keys(state.subjects ?? {}).length > 0;
  return isOlder ? eventFilters.run(id) : eventFilters.workOnDataset(datasetId);
}
