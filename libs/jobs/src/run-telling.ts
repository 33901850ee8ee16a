import { eventSubjects, Run, timestamp, type IEvent, type RunEventName, type RunRef } from '@atelier/contracts';
import { publishEvent, type Mesh, type Patience } from '@atelier/mesh';
import { goOnForRun } from './run-trace';
import { queueIngestOfTurn } from './work';

/** What is told twice under one id is one event. */
export async function tellOfRun(
  mesh: Mesh,
  patience: Patience,
  run: RunRef,
  what: RunEventName,
  event: IEvent,
  msgId: string,
): Promise<void> {
  await patience(() => publishEvent(mesh, eventSubjects.run(run, what), event, { msgId }));
}

/** Says where the run stands. */
export async function tellState(mesh: Mesh, patience: Patience, run: Run, msgId = stateId(run)): Promise<void> {
  const { id: runId, state, error, preemptions, unseenServices } = run;
  await tellOfRun(
    mesh,
    patience,
    run,
    'state',
    { runState: { runId, state, error, preemptions, unseenServices } },
    msgId,
  );
}

/** A run comes to the same state again with another turn, or after it was put down. */
const stateId = ({ id, state, turns, preemptions }: Run): string => `state.${id}.${state}.${turns}.${preemptions}`;

/** What ends before its last step has the last adapter that it kept by step. */
export const ended =
  (how: Partial<Run>) =>
  (run: Run): Run =>
    Run.create({
      ...run,
      adapter: run.lastKept,
      ...how,
      inHand: false,
      unseenServices: [],
      finishedAt: timestamp(),
    });

/** Done twice, it is done once. */
export function queueEncodingAgain(mesh: Mesh, patience: Patience, run: Run): Promise<void> {
  return goOnForRun('encode run again', run, async () => {
    await tellState(mesh, patience, run);
    await patience(() => queueIngestOfTurn(mesh, { datasetId: run.datasetId, runId: run.id }, run.turns));
  });
}
