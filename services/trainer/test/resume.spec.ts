import { RunState, type CompleteTrainOptions } from '@atelier/contracts';
import { waitFor } from '@atelier/testing';
import { Harness } from './harness';

// Each trainer is a process of its own, so that it can be killed.
const OPTIONS: Partial<CompleteTrainOptions> = {
  totalSteps: 300,
  accumulation: 2,
  checkpointEvery: 7,
  lrSchedule: 'cosine',
  warmupSteps: 20,
  ...{ timestepSampling: 'sigmoid', sigmoidScale: 1.5, flowShift: 2, minSigma: 0.05, weighting: 'bell' },
  ...{ lossType: 'smooth_l1', huberSchedule: 'exponential' },
  quant: 'nf4_double',
};

let harness: Harness;
beforeAll(async () => {
  harness = await Harness.start();
  await harness.startRun('undisturbed', await harness.dataset('d', 5), OPTIONS);
  const trainer = await harness.startProcess();
  expect((await harness.over('undisturbed', 100_000)).state).toBe(RunState.RUN_STATE_FINISHED);
  expect(await trainer.stop()).toBe(0);
});
afterAll(() => harness.stop());

const lastStep = async (id: string): Promise<number> => (await harness.events(id, 'step')).at(-1)?.runStep?.step ?? 0;

describe('a trainer', () => {
  it('killed in mid-run, twice, is followed by one that comes to the same adapter, byte for byte', async () => {
    await harness.startRun('killed', 'd', OPTIONS);
    for (const step of [20, 60]) {
      const trainer = await harness.startProcess();
      await harness.reached('killed', step);
      await trainer.kill();
    }
    expect(await lastStep('killed')).toBeLessThan(300);
    expect((await harness.run('killed')).state).toBe(RunState.RUN_STATE_TRAINING);
    const saved = (await harness.trainingState('killed'))!;
    expect(Number(saved.metadata['step'])).toBeGreaterThanOrEqual(49);

    const trainer = await harness.startProcess();
    expect(await harness.over('killed', 100_000)).toMatchObject({ state: RunState.RUN_STATE_FINISHED, step: 300 });
    expect(trainer.log()).toContain(`"step":${saved.metadata['step']}`); // it did not begin anew
    expect((await harness.adapterBytes('killed')).equals(await harness.adapterBytes('undisturbed'))).toBe(true);
    expect(await harness.blobs.list('checkpoints')).toEqual([]);
    await trainer.stop();
  }, 200_000);

  it('that is asked to stop saves where it is, gives the run back, and ends cleanly; the next goes on from that very step', async () => {
    await harness.startRun('stopped', 'd', { ...OPTIONS, checkpointEvery: 0 });
    const first = await harness.startProcess();
    await harness.reached('stopped', 15);
    expect(await first.stop()).toBe(0);
    const step = await lastStep('stopped');
    expect((await harness.trainingState('stopped'))?.metadata['step']).toBe(String(step));
    expect(await harness.run('stopped')).toMatchObject({
      state: RunState.RUN_STATE_QUEUED,
      attempts: 0,
      preemptions: 1,
    });
    expect((await harness.events('stopped', 'state')).map(({ runState }) => runState!.preemptions)).toEqual([0, 1]);
    expect(await harness.queued()).toBe(1);

    await harness.startProcess();
    const next = await waitFor(
      'the step after',
      async () => (await harness.events('stopped', 'step')).map(({ runStep }) => runStep!.step!)[step],
    );
    expect(next).toBe(step + 1);
    await harness.over('stopped', 100_000);
    expect((await harness.adapterBytes('stopped')).equals(await harness.adapterBytes('undisturbed'))).toBe(true);
  });

  it('that finds a damaged training state begins anew, and comes to the same adapter', async () => {
    await harness.blobs.put('checkpoints', 'damaged', Buffer.from('not a training state'), {
      step: '100',
      position: '200',
      skipped: '[]',
    });
    await harness.startRun('damaged', 'd', OPTIONS);
    await harness.over('damaged', 100_000);
    expect((await harness.adapterBytes('damaged')).equals(await harness.adapterBytes('undisturbed'))).toBe(true);
  });
});
