import { RunState, toDate, type CompleteTrainOptions } from '@atelier/contracts';
import { Runs } from '@atelier/jobs';
import { waitFor } from '@atelier/testing';
import { Harness } from './harness';

const OPTIONS: Partial<CompleteTrainOptions> = { totalSteps: 400, accumulation: 2, checkpointEvery: 0 };

let harness: Harness;
let runs: Runs;
beforeEach(async () => {
  harness = await Harness.start();
  runs = new Runs(harness.test.mesh);
  await harness.dataset('d', 5);
  await harness.startService();
});
afterEach(() => harness.stop());

const is = (id: string, state: RunState) =>
  waitFor(`${id} to be in state ${state}`, async () => (await harness.run(id)).state === state);

it('a run that is paused in mid-run lets the next one train, and goes on to the same adapter', async () => {
  await harness.startRun('undisturbed', 'd', OPTIONS);
  await harness.over('undisturbed');
  await harness.startRun('paused', 'd', OPTIONS);
  await harness.startRun('waits', 'd', { totalSteps: 4 });
  for (const step of [10, 40]) {
    await harness.reached('paused', step);
    await runs.pause('paused');
    await is('paused', RunState.RUN_STATE_PAUSED);
    expect(await harness.run('paused')).toMatchObject({ inHand: false, attempts: 0, preemptions: 0 });
    await is('waits', RunState.RUN_STATE_FINISHED);
    await waitFor('no message to be left', async () => (await harness.queued()) === 0);
    await runs.resume('paused');
  }
  await is('paused', RunState.RUN_STATE_FINISHED);
  const steps = (await harness.events('paused', 'step')).map(({ runStep }) => runStep!.step!);
  expect(new Set(steps).size).toBe(steps.length); // none was taken twice
  expect((await harness.adapterBytes('paused')).equals(await harness.adapterBytes('undisturbed'))).toBe(true);
  expect(await harness.deadLetters()).toBe(0);
});

it('a paused run that is cancelled leaves no training state, and no message', async () => {
  await harness.startRun('r1', 'd', OPTIONS);
  await harness.reached('r1', 5);
  await runs.pause('r1');
  await is('r1', RunState.RUN_STATE_PAUSED);
  expect(await harness.trainingState('r1')).not.toBeNull();
  await runs.cancel('r1');
  await waitFor('its state to be cleared', async () => (await harness.blobs.list('checkpoints')).length === 0);
  await waitFor('no message to be left', async () => (await harness.queued()) === 0);
  expect((await harness.run('r1')).state).toBe(RunState.RUN_STATE_CANCELLED);
});

it('the run whose turn it is comes first, whatever the order of the messages', async () => {
  await harness.startRun('busy', 'd', { totalSteps: 60 });
  await harness.reached('busy', 1);
  await harness.startRun('r1', 'd', { totalSteps: 2 });
  await harness.startRun('r2', 'd', { totalSteps: 2 });
  await runs.prioritize('r2', 1);
  for (const id of ['r1', 'r2']) await harness.over(id);
  const startedAt = async (id: string): Promise<number> => toDate((await harness.run(id)).startedAt)!.getTime();
  expect(await startedAt('r2')).toBeLessThan(await startedAt('r1'));
});
