import { join } from 'node:path';
import type { AtelierClient } from '@atelier/client';
import { AtelierError, RunState, type Event, type Run } from '@atelier/contracts';
import { runEvent, runStatus } from '@atelier/jobs';
import { saveStream } from '../save';
import type { Output } from '../output';
import { RunView } from './run-view';

export interface FollowOptions {
  /** Ends the following, not the run. */
  signal?: AbortSignal;
  /** Folder for validation pictures, as they are drawn. */
  validationFolder?: string;
  /** Id of a data set that was uploaded for this run: what it found cached counts, not what was left when the run's turn came. */
  uploaded?: string;
}

/** A data set's summary is told before that of a run which was asked for after it. */
const SUMMARY_MS = 2000;

/** Shows a run from its first event to its end and gives its last state; undefined when the following was ended first. */
export async function followRun(
  client: AtelierClient,
  out: Output,
  id: string,
  { signal, validationFolder, uploaded }: FollowOptions = {},
): Promise<Run | undefined> {
  const view = new RunView(out);
  try {
    for await (const { event } of client.runEvents(id, { signal })) {
      const summary = event.encodeSummary && uploaded ? await uploadSummary(client, uploaded) : undefined;
      const shown = runEvent(summary ?? event);
      if (!shown) continue;
      view.show(shown);
      if (shown.type === 'sample' && validationFolder) {
        const file = join(
          validationFolder,
          `step-${String(shown.step).padStart(6, '0')}-${shown.image.replace(/[^\w.-]+/g, '-')}`,
        );
        await saveStream(await client.image(shown.image), file);
        view.note(`           ${file}`);
      }
    }
  } finally {
    view.close();
  }
  return signal?.aborted ? undefined : client.run(id);
}

async function uploadSummary(client: AtelierClient, dataset: string): Promise<Event | undefined> {
  for await (const { event } of client.datasetEvents(dataset, { signal: AbortSignal.timeout(SUMMARY_MS) })) {
    if (event.encodeSummary && !event.encodeSummary.runId) return event;
  }
  return undefined;
}

/** What is there of a run that ended before its last step. */
export const keptText = ({ adapter, lastKept }: Run): string =>
  adapter || lastKept ? `; its adapter ${adapter || lastKept} stays` : '';

/** The run's end as the command's: a run that failed or was cancelled is an error. */
export function finished(run: Run): Run {
  if (run.state === RunState.RUN_STATE_FINISHED) return run;
  if (run.state === RunState.RUN_STATE_CANCELLED)
    throw new AtelierError('CANCELLED', `run ${run.id} (${run.name}) was cancelled${keptText(run)}`);
  throw new AtelierError(
    'ABORTED',
    `run ${run.id} (${run.name}) ${runStatus(run.state)}: ${run.error || 'no reason was noted'}`,
  );
}
