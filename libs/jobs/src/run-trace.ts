import type { Run } from '@atelier/contracts';
import { goOnFor } from '@atelier/mesh';

/**
 * In the trace of whoever asked for the run: what led here may be the message of another run, or of a picture that
 * several wait for.
 */
export function goOnForRun<T>(
  what: string,
  { id: runId, datasetId, traceparent }: Pick<Run, 'id' | 'datasetId' | 'traceparent'>,
  fn: () => Promise<T>,
): Promise<T> {
  return goOnFor(what, { traceparent, ids: { runId, datasetId } }, fn);
}
