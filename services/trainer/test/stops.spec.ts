import { RunState, subjects, TrainWork, type CompleteTrainOptions } from '@atelier/contracts';
import { publishWork, subscribeEvents } from '@atelier/mesh';
import { StateWatch } from '@atelier/store';
import { dieOver, waitFor } from '@atelier/testing';
import { Harness } from './harness';

const OPTIONS: Partial<CompleteTrainOptions> = {
  totalSteps: 200,
  accumulation: 2,
  checkpointEvery: 0,
  lrSchedule: 'cosine',
  warmupSteps: 20,
  weighting: 'logit_normal',
  quant: 'nf4_double',
};

let harness: Harness;
beforeEach(async () => {
  harness = await Harness.start();
});
afterEach(() => harness.stop());

const savedStep = async (id: string): Promise<number> =>
  Number((await harness.trainingState(id))?.metadata['step'] ?? -1);

/** Starts a trainer, lets it take a step of the run, and stops it. */
async function further(id: string): Promise<void> {
  const heard = new AbortController();
  const steps = subscribeEvents(harness.test.mesh, `events.run.${id}.step`, { from: 'new', signal: heard.signal });
  const step = steps.next();
  const ended = new StateWatch(harness.runs, id, (run) => run.state > RunState.RUN_STATE_TRAINING);
  await harness.startService();
  await Promise.race([step, raised(ended.met)]);
  heard.abort();
  await ended.close();
  await harness.stopService();
}

const raised = async (signal: AbortSignal): Promise<void> => {
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
};

describe('a run', () => {
  it('whose trainer is stopped thirty times comes to the same adapter, byte for byte', async () => {
    await harness.startService();
    await harness.startRun('undisturbed', await harness.dataset('d', 5), OPTIONS);
    await harness.over('undisturbed');
    await harness.stopService();

    await harness.startRun('stopped', 'd', OPTIONS);
    for (let stops = 1; stops <= 30; stops++) {
      await further('stopped');
      expect(await harness.run('stopped')).toMatchObject({
        state: RunState.RUN_STATE_QUEUED,
        inHand: false,
        attempts: 0,
        preemptions: stops,
      });
    }
    expect(await savedStep('stopped')).toBeLessThan(OPTIONS.totalSteps!);
    await harness.startService();
    expect(await harness.over('stopped')).toMatchObject({
      state: RunState.RUN_STATE_FINISHED,
      attempts: 1,
      preemptions: 30,
    });
    expect((await harness.adapterBytes('stopped')).equals(await harness.adapterBytes('undisturbed'))).toBe(true);
    expect(await harness.blobs.list('checkpoints')).toEqual([]);
    expect(await harness.deadLetters()).toBe(0);
  });

  it('whose trainers died over it without getting further fails, and what it had come to is kept', async () => {
    await harness.startRun('r1', await harness.dataset('d', 2), OPTIONS);
    await further('r1');
    const step = await savedStep('r1');
    expect(step).toBeGreaterThan(0);
    await dieOver(harness.test.mesh, subjects.work.train);
    await harness.startService();
    const run = await harness.over('r1');
    expect(run).toMatchObject({
      state: RunState.RUN_STATE_FAILED,
      preemptions: 1,
      error: expect.stringMatching(/died while handling it, 10 times in a row/),
    });
    expect(await savedStep('r1')).toBe(step);

    // Nor does it go when the work comes again: whoever gave the run up may have died before it said so.
    await publishWork(
      harness.test.mesh,
      subjects.work.train,
      TrainWork,
      { runId: 'r1', manifest: 'd' },
      { msgId: 'again' },
    );
    await waitFor('an empty queue', async () => (await harness.queued()) === 0);
    expect(await savedStep('r1')).toBe(step);
  });

  it('whose trainers died over it once too often but one goes on, and after a saved state as often again', async () => {
    await harness.startRun('r1', await harness.dataset('d', 2), OPTIONS);
    for (let times = 0; times < 2; times++) {
      await dieOver(harness.test.mesh, subjects.work.train, 9);
      await further('r1');
    }
    await harness.startService();
    expect(await harness.over('r1')).toMatchObject({ state: RunState.RUN_STATE_FINISHED, step: OPTIONS.totalSteps });
  });

  it('cancelled while it is put down leaves no training state', async () => {
    await harness.startRun('r1', await harness.dataset('d', 2), OPTIONS);
    await further('r1');
    await harness.runs.update('r1', (run) => Object.assign(run, { cancelRequested: true }));
    await harness.startService();
    expect(await harness.over('r1')).toMatchObject({ state: RunState.RUN_STATE_CANCELLED });
    expect(await savedStep('r1')).toBe(-1);
  });
});

describe('a trainer that is asked to stop while the mesh is away', () => {
  it('ends within its grace; the next with its folder goes on from that very step, to the same adapter', async () => {
    await harness.startRun('undisturbed', await harness.dataset('d', 3), OPTIONS);
    const first = await harness.startProcess();
    await harness.over('undisturbed');
    await harness.startRun('away', 'd', OPTIONS);
    await harness.reached('away', 10);
    harness.test.signalNats('SIGSTOP');
    expect(await first.stop()).toBe(0);
    harness.test.signalNats('SIGCONT');
    expect(await harness.trainingState('away')).toBeNull();

    const second = await harness.startProcess();
    expect(await harness.over('away', 60_000)).toMatchObject({
      state: RunState.RUN_STATE_FINISHED,
      step: OPTIONS.totalSteps,
    });
    const [, from] = /"step":(\d+),"msg":"goes on from what was kept in a file"/.exec(second.log())!;
    expect(Number(from)).toBeGreaterThanOrEqual(10);
    const steps = (await harness.events('away', 'step')).map(({ runStep }) => runStep!.step!);
    expect(steps.filter((step) => step === Number(from) + 1)).toHaveLength(1);
    expect((await harness.adapterBytes('away')).equals(await harness.adapterBytes('undisturbed'))).toBe(true);
    expect(await harness.deadLetters()).toBe(0);
    await second.stop();
  }, 120_000);
});
