import { eventSubjects, Run, timestamp, type IEvent, type RunEventName, type RunRef } from '@atelier/contracts';
import { publishEvent, type Mesh, type Patience } from '@atelier/mesh';

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
export async function tellState(
  mesh: Mesh,
  patience: Patience,
  run: Run,
  msgId = `state.${run.id}.${run.state}`,
): Promise<void> {
  const { id: runId, state, error, preemptions } = run;
  await tellOfRun(mesh, patience, run, 'state', { runState: { runId, state, error, preemptions } }, msgId);
}

export const ended =
  (how: Partial<Run>) =>
  (run: Run): Run =>
    Run.create({ ...run, ...how, finishedAt: timestamp() });
