import { RunState, type CompleteTrainOptions } from '@atelier/contracts';
import { adaptersOf, bestStep, Deletion } from '@atelier/jobs';
import { AdapterStore } from '@atelier/store';
import { Harness } from './harness';

// Trainers that are killed are processes of their own. A constant rate, so that a step does not depend on the run's length.
const OPTIONS: Partial<CompleteTrainOptions> = {
  totalSteps: 60,
  accumulation: 2,
  checkpointEvery: 7,
  quant: 'nf4_double',
  heldOut: 0.4,
  heldOutEvery: 10,
  heldOutPairs: 2,
  adapterEvery: 20,
  emaDecay: 0.9,
  captionCheck: 15,
};

let harness: Harness;
let adapters: AdapterStore;
beforeAll(async () => {
  harness = await Harness.start();
  adapters = new AdapterStore(harness.test.mesh);
  await harness.startRun('undisturbed', await harness.dataset('d', 5), OPTIONS);
  const trainer = await harness.startProcess();
  await harness.over('undisturbed', 100_000);
  await trainer.stop();
}, 120_000);
afterAll(() => harness.stop());

const made = async (id: string) => adaptersOf(await harness.run(id), await adapters.list());
const names = async (id: string) => (await made(id)).map(({ name }) => name);
const bytesOf = async (name: string) => Buffer.from(await adapters.read(await adapters.find(name)));

describe('a run with a held-out share', () => {
  it('is scored at its start, on the way and at its end, and keeps its adapters by step and their average', async () => {
    const run = await harness.run('undisturbed');
    expect(run).toMatchObject({ state: RunState.RUN_STATE_FINISHED, heldOutSamples: 2, stoppedEarly: false });
    expect(run.heldOut.map(({ step }) => step ?? 0)).toEqual([0, 10, 20, 30, 40, 50, 60]);
    expect(new Set(run.heldOut.map(({ loss }) => loss)).size).toBe(7);
    const told = (await harness.events('undisturbed', 'held-out')).map(({ runHeldOut }) => runHeldOut!);
    expect(told.map(({ step, loss }) => [step ?? 0, loss])).toEqual(
      run.heldOut.map(({ step, loss }) => [step ?? 0, loss]),
    );
    expect(told.filter(({ best }) => best).at(-1)?.step ?? 0).toBe(bestStep(run.heldOut));
    expect(await names('undisturbed')).toEqual([
      'adapter-undisturbed@20',
      'adapter-undisturbed@40',
      'adapter-undisturbed@60',
      'adapter-undisturbed',
      'adapter-undisturbed@ema',
    ]);
    const last = await bytesOf('adapter-undisturbed');
    expect((await bytesOf('adapter-undisturbed@60')).equals(last)).toBe(true);
    for (const other of ['20', '40', 'ema'])
      expect((await bytesOf(`adapter-undisturbed@${other}`)).equals(last)).toBe(false);
  });

  it('never trains on what it is scored by: the table of its pictures has the others alone', async () => {
    const { pictures } = await harness.run('undisturbed');
    expect(pictures!.step).toBe(60);
    expect(pictures!.pictures).toHaveLength(3);
    for (const { captionGain } of pictures!.pictures!) expect(Number.isFinite(captionGain)).toBe(true);
    expect(pictures!.pictures!.reduce((sum, { visits }) => sum + (visits ?? 0), 0)).toBe(60 * 2);
  });

  it('killed twice writes the same adapters by step, losses and table as one that nothing happened to', async () => {
    await harness.startRun('killed', 'd', OPTIONS);
    for (const step of [12, 33]) {
      const trainer = await harness.startProcess();
      await harness.reached('killed', step);
      await trainer.kill();
    }
    const trainer = await harness.startProcess();
    const run = await harness.over('killed', 100_000);
    await trainer.stop();
    const undisturbed = await harness.run('undisturbed');
    expect(run.state).toBe(RunState.RUN_STATE_FINISHED);
    expect(run.heldOut).toEqual(undisturbed.heldOut);
    expect(run.pictures).toEqual(undisturbed.pictures);
    for (const at of ['', '@20', '@40', '@60', '@ema'])
      expect((await bytesOf(`adapter-killed${at}`)).equals(await bytesOf(`adapter-undisturbed${at}`))).toBe(true);
  }, 200_000);

  it('of another length has the same adapter at a step, scored or not, as long as it trains on the same', async () => {
    await harness.startService();
    await harness.startRun('shorter', 'd', {
      ...OPTIONS,
      totalSteps: 20,
      heldOutEvery: 20,
      heldOutPairs: 1,
      emaDecay: 0,
    });
    await harness.over('shorter');
    expect((await bytesOf('adapter-shorter')).equals(await bytesOf('adapter-undisturbed@20'))).toBe(true);
  }, 60_000);

  it('cancelled keeps the last adapter by step, and says so; deleted, the run takes what it kept beside it along', async () => {
    await harness.startRun('cancelled', 'd', { ...OPTIONS, totalSteps: 5000 });
    await harness.reached('cancelled', 45);
    await harness.runs.update('cancelled', (run) => Object.assign(run, { cancelRequested: true }));
    const run = await harness.over('cancelled');
    expect(run.state).toBe(RunState.RUN_STATE_CANCELLED);
    expect(run.adapter).toMatch(/^adapter-cancelled@[2-9]\d?0$/);
    const kept = await names('cancelled');
    expect(kept.at(-1)).toBe(run.adapter);
    expect((await bytesOf('adapter-cancelled@40')).equals(await bytesOf('adapter-undisturbed@40'))).toBe(true);
    await new Deletion(harness.test.mesh).run('cancelled');
    const left = (await adapters.list()).filter(({ runId }) => runId === 'cancelled');
    expect(left.map(({ name }) => name)).toEqual([run.adapter]);
  }, 60_000);

  it('keeps the last alone, the newest few, or the best alone, where that was asked for', async () => {
    await harness.startRun('last', 'd', { ...OPTIONS, emaDecay: 0, keep: 'last' });
    await harness.startRun('two', 'd', { ...OPTIONS, emaDecay: 0, keepMost: 2 });
    await harness.startRun('best', 'd', { ...OPTIONS, emaDecay: 0, adapterEvery: 0, keep: 'best' });
    for (const id of ['last', 'two', 'best']) await harness.over(id, 60_000);
    expect(await names('last')).toEqual(['adapter-last']);
    expect(await names('two')).toEqual(['adapter-two@40', 'adapter-two@60', 'adapter-two']);
    const { heldOut, lastKept } = await harness.run('best');
    const best = bestStep(heldOut.filter(({ step }) => step));
    expect(lastKept).toBe(`adapter-best@${best}`);
    expect((await names('best')).sort()).toEqual(['adapter-best', `adapter-best@${best}`]);
  }, 120_000);

  it('ends early where so many scorings have brought nothing lower, at the same step each time', async () => {
    const wild = { ...OPTIONS, learningRate: 0.05, totalSteps: 500, adapterEvery: 0, emaDecay: 0, patience: 3 };
    await harness.startRun('wild', 'd', wild);
    const run = await harness.over('wild', 100_000);
    expect(run).toMatchObject({ state: RunState.RUN_STATE_FINISHED, stoppedEarly: true, adapter: 'adapter-wild' });
    const best = bestStep(run.heldOut)!;
    expect(run.step).toBe(best + 30);
    expect(run.heldOut.at(-1)!.step).toBe(best + 30);
  }, 120_000);

  it('fails with the remedy where the data set has one picture', async () => {
    await harness.startRun('alone', await harness.dataset('one', 1), { ...OPTIONS, totalSteps: 3 });
    expect((await harness.over('alone')).error).toContain('none can be held out: train on more');
  });
});
