import { eventFilters, type Event } from '@atelier/contracts';
import { subscribeEvents, type Mesh, type ReceivedEvent } from '@atelier/mesh';
import type { Generations } from './generations';
import { isGenerationOver } from './states';

/** `sequence` is a position in the EVENTS stream: give it back as `after` to go on where one left off. */
export type StreamedEvent = ReceivedEvent;

export interface FollowOptions {
  /** Only events later than this position. Default: from the first one on. */
  after?: number;
  /** How many are fetched before they are read, at most: of readers who may be many, and slow. */
  ahead?: number;
  signal?: AbortSignal;
}

/** How long the last event of a subject may come after its state says that it is over. */
const LAST_EVENT_MS = 2000;

/** Events of a picture being drawn, ending with the one that says how it ended. */
export function generationEvents(
  mesh: Mesh,
  generations: Generations,
  id: string,
  options: FollowOptions = {},
): AsyncGenerator<StreamedEvent> {
  return follow(mesh, {
    filter: eventFilters.generation(id),
    isLast: ({ generateState }) => isGenerationOver({ state: generateState?.state }),
    over: (signal) => untilTrue(generations.states(id, signal), isGenerationOver),
    ...options,
  });
}

/** Events of a data set from its first on; they end when the signal says so. */
export function datasetEvents(mesh: Mesh, id: string, options: FollowOptions = {}): AsyncGenerator<StreamedEvent> {
  return follow(mesh, { filter: eventFilters.dataset(id), isLast: () => false, ...options });
}

export interface FeedOptions extends FollowOptions {
  /** What to subscribe to (filterOfEvents). Default: everything. */
  filter?: string;
}

/** Everything that happens in the mesh, or what a filter lets through; it ends when the signal says so. */
export function allEvents(mesh: Mesh, options: FeedOptions = {}): AsyncGenerator<StreamedEvent> {
  return follow(mesh, { filter: eventFilters.all, isLast: () => false, ...options });
}

export interface Followed extends FollowOptions {
  filter: string;
  /** Where to begin without `after`. */
  from?: 'all' | Date;
  isLast: (event: Event) => boolean;
  over?: (signal: AbortSignal) => Promise<boolean>;
}

/**
 * Yields until the last event. That one may never come (a killed service writes the state and dies before it says so), so
 * the state is watched as well and ends the stream, a moment later, in its place.
 */
export async function* follow(
  mesh: Mesh,
  { filter, from = 'all', isLast, over, after, ahead, signal }: Followed,
): AsyncGenerator<StreamedEvent> {
  const stop = new AbortController();
  const abort = (): void => stop.abort();
  if (signal?.aborted) return;
  signal?.addEventListener('abort', abort, { once: true });
  let timer: NodeJS.Timeout | undefined;
  const watching = over?.(stop.signal).then((ended) => {
    if (ended) timer = setTimeout(abort, LAST_EVENT_MS);
  }, abort);
  try {
    const start = after === undefined ? from : after + 1;
    for await (const streamed of subscribeEvents(mesh, filter, { from: start, ahead, signal: stop.signal })) {
      yield streamed;
      timer?.refresh();
      if (isLast(streamed.event)) return;
    }
  } finally {
    signal?.removeEventListener('abort', abort);
    stop.abort();
    await watching;
    clearTimeout(timer);
  }
}

/** Whether a watched value came to meet the condition, rather than the watch ending first. */
export async function untilTrue<T>(values: AsyncIterable<T>, condition: (value: T) => boolean): Promise<boolean> {
  for await (const value of values) if (condition(value)) return true;
  return false;
}
