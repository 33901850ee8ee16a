import { RunState, toDate, type Run } from '@atelier/contracts';
import type { RunWork } from './held-run';
import { isRunOver } from './states';

/** Whether it could be trained now and no trainer has it. */
export function waitsItsTurn({ state, encoded, inHand }: Run): boolean {
  return state === RunState.RUN_STATE_QUEUED && encoded && !inHand;
}

/** Runs that wait for a trainer, the next one first: by priority, then as they were asked for. */
export function inOrder(runs: readonly Run[]): Run[] {
  const askedAt = ({ createdAt }: Run): number => toDate(createdAt)?.getTime() ?? 0;
  const byId = (a: Run, b: Run): number => (a.id < b.id ? -1 : 1);
  return runs.filter(waitsItsTurn).sort((a, b) => b.priority - a.priority || askedAt(a) - askedAt(b) || byId(a, b));
}

/** Places of the runs that wait for a trainer, by id: 1 is the next. */
export function placesOf(runs: readonly Run[]): Map<string, number> {
  return new Map(inOrder(runs).map(({ id }, index) => [id, index + 1]));
}

/** The run that a message was last used for, if that is not done with: its trainer died, or could not say how it ended. */
export function takenBy(
  runs: readonly Run[],
  { sequence, runId }: Pick<RunWork, 'sequence' | 'runId'>,
): Run | undefined {
  return runs.find(
    (run) =>
      !isRunOver(run) &&
      ((run.workSequence === sequence && (run.inHand || waitsForEncoders(run))) || isOfEarlierVersion(run, runId)),
  );
}

/** Also while it is paused. */
export function waitsForEncoders({ state, encoded }: Run): boolean {
  const { RUN_STATE_ENCODING, RUN_STATE_PAUSED } = RunState;
  return !encoded && (state === RUN_STATE_ENCODING || state === RUN_STATE_PAUSED);
}

/** In 0.1.0 a message was for the run that it names, and nothing noted who has it. */
const isOfEarlierVersion = ({ id, state, inHand, encoded }: Run, runId: string): boolean =>
  id === runId && state === RunState.RUN_STATE_TRAINING && !inHand && !encoded;
