import { RunState, type CompleteTrainOptions } from '@atelier/contracts';
import { signalProcess, waitFor } from '@atelier/testing';
import { Harness } from './harness';

// Two trainers that are processes, of which one hangs: nats-server takes it for dead after ten seconds.
const OPTIONS: Partial<CompleteTrainOptions> = { totalSteps: 4000, accumulation: 2, checkpointEvery: 10 };

let harness: Harness;
beforeEach(async () => {
  harness = await Harness.start();
});
afterEach(() => harness.stop());

const steps = async (id: string): Promise<number[]> => (await harness.events(id, 'step')).map((e) => e.runStep!.step!);

it('a trainer that hangs and wakes puts down the run that another has taken, and writes nothing more of it', async () => {
  await harness.startRun('r1', await harness.dataset('d', 2), OPTIONS);
  const hung = await harness.startProcess({ ATELIER_ONCE: '1' });
  await harness.reached('r1', 25);
  signalProcess(hung.pid, 'SIGSTOP');
  const before = await harness.run('r1');
  const next = await harness.startProcess();
  await waitFor('the other to save a state', async () => {
    const { fence, trainingState } = await harness.run('r1');
    return fence === before.fence + 1 && trainingState.startsWith(`r1.${fence}.`);
  });
  process.kill(hung.pid, 'SIGCONT');
  expect(await hung.exited).toBe(0); // its one piece of work is over for it
  expect(hung.log()).toContain('another trainer has taken the run');

  const after = await harness.run('r1');
  expect(after).toMatchObject({ state: RunState.RUN_STATE_TRAINING, fence: before.fence + 1, preemptions: 0 });
  const told = await steps('r1');
  expect(new Set(told).size).toBe(told.length); // each step once: what came twice was one event
  expect(await harness.queued()).toBe(1);
  await harness.reached('r1', told.at(-1)! + 20); // nor is the message taken from who has it
  expect((await harness.run('r1')).fence).toBe(before.fence + 1);

  await harness.runs.update('r1', (run) => Object.assign(run, { cancelRequested: true }));
  await harness.over('r1');
  expect(await harness.blobs.list('checkpoints')).toEqual([]);
  expect(await harness.deadLetters()).toBe(0);
  await next.stop();
}, 120_000);
