import { openCheckpoint, parseTensorFile } from '@atelier/checkpoint';
import {
  calls,
  IngestWork,
  Manifest,
  promptsKey,
  RunState,
  streams,
  subjects,
  TrainOptions,
  trainOptionsMessage,
  type CompleteTrainOptions,
  type ITrainOptions,
} from '@atelier/contracts';
import { Adapter } from '@atelier/engine';
import { Runs } from '@atelier/jobs';
import { callService } from '@atelier/mesh';
import { dieOver, tinyCheckpoint, waitFor } from '@atelier/testing';
import { Harness, latentsBytes, promptsBytes, TEXT_TOKENS } from './harness';

let harness: Harness;
beforeEach(async () => {
  harness = await Harness.start();
});
afterEach(() => harness.stop());

describe('a run', () => {
  it("becomes an adapter in diffusers' format, and every step of the way is told", async () => {
    await harness.startService();
    await harness.startRun('r1', await harness.dataset('d', 3), { totalSteps: 5, accumulation: 2, checkpointEvery: 2 });
    const run = await harness.over('r1');
    expect(run).toMatchObject({
      state: RunState.RUN_STATE_FINISHED,
      step: 5,
      adapter: 'adapter-r1',
      error: '',
      skipped: 0,
    });
    expect(run.loss).toBeGreaterThan(0);
    const events = await harness.events('r1');
    expect(events.map(({ detail }) => detail)).toEqual([
      'runPlanned',
      'runState',
      'runStep',
      'runStep',
      'runStep',
      'runStep',
      'runStep',
      'runState',
    ]);
    expect(events.flatMap(({ runState }) => (runState ? [runState.state] : []))).toEqual([
      RunState.RUN_STATE_TRAINING,
      RunState.RUN_STATE_FINISHED,
    ]);
    const steps = events.flatMap(({ runStep }) => (runStep ? [runStep] : []));
    expect(steps.map(({ step, totalSteps }) => [step, totalSteps])).toEqual([1, 2, 3, 4, 5].map((step) => [step, 5]));
    for (const { loss, learningRate, gradNorm, stepSeconds } of steps) {
      expect(loss).toBeGreaterThan(0);
      expect(learningRate).toBeCloseTo(1e-3, 12);
      expect(gradNorm).toBeGreaterThan(0);
      expect(stepSeconds).toBeGreaterThan(0);
    }
    expect(steps[0]!.etaSeconds).toBeCloseTo(4 * steps[0]!.stepSeconds!, 6);
    expect(run.plan).toEqual(events[0]!.runPlanned!.plan);
    expect(run.plan?.totalBytes).toBeGreaterThan(1e6);
    const { keepInput, keepAttention, keepAll } = run.plan!.choice!;
    expect(keepInput! + keepAttention! + keepAll!).toBe(5); // of the tiny checkpoint's 2 and 3 blocks

    const info = (await harness.adapters.get('adapter-r1'))!.value;
    const bytes = await harness.adapterBytes('r1');
    const { transformer } = await (await openCheckpoint(tinyCheckpoint())).fingerprints();
    expect(info).toMatchObject({
      name: 'adapter-r1',
      runId: 'r1',
      size: bytes.byteLength,
      rank: 2,
      alpha: 2,
      baseFingerprint: transformer,
    });
    const file = parseTensorFile(bytes);
    expect(file.metadata['base_fingerprint']).toBe(transformer);
    expect(JSON.parse(file.metadata['lora_adapter_metadata']!)).toMatchObject({
      'transformer.r': 2,
      'transformer.lora_alpha': 2,
    });
    await (await Adapter.fromBytes(bytes)).dispose();
    const upper = [...file.tensors].filter(([name]) => name.includes('lora_B')); // zeros before training
    expect(upper.some(([, tensor]) => tensor.bytes.some((byte) => byte !== 0))).toBe(true);
    expect(await harness.blobs.list('checkpoints')).toEqual([]);
    expect(await harness.deadLetters()).toBe(0);
  });

  it('comes to another adapter with another seed, and to the same with the same', async () => {
    await harness.startService();
    await harness.dataset('d', 4);
    for (const [id, seed] of [
      ['r1', 7],
      ['r2', 7],
      ['r3', 8],
    ] as const) {
      await harness.startRun(id, 'd', { totalSteps: 8, seed });
      await harness.over(id);
    }
    expect((await harness.adapterBytes('r1')).equals(await harness.adapterBytes('r2'))).toBe(true);
    expect((await harness.adapterBytes('r1')).equals(await harness.adapterBytes('r3'))).toBe(false);
  });

  it('trains pictures of several shapes in one run', async () => {
    await harness.startService();
    await harness.dataset('wide', 1, { width: 96, height: 48 });
    await harness.dataset('tall', 1, { width: 32, height: 80 });
    const samples = await Promise.all(
      ['wide', 'tall'].map(async (id) => Manifest.decode(await harness.blobs.get('manifests', id)).samples[0]!),
    );
    await harness.blobs.put('manifests', 'both', Manifest.encode({ datasetId: 'both', samples }).finish());
    await harness.startRun('r1', 'both', { totalSteps: 4 });
    expect((await harness.over('r1')).state).toBe(RunState.RUN_STATE_FINISHED);
  });

  it('draws validation pictures with the adapter as it is', async () => {
    await harness.startService();
    const checkpoint = await openCheckpoint(tinyCheckpoint());
    const { text } = await checkpoint.fingerprints();
    for (const prompt of ['a heron', 'a boat']) {
      await harness.tensors.put(
        'prompts',
        promptsKey({ caption: prompt, maxLength: TEXT_TOKENS, textFingerprint: text }),
        promptsBytes(prompt),
      );
    }
    await harness.startRun('r1', await harness.dataset('d', 2), {
      totalSteps: 4,
      learningRate: 0.05,
      validationPrompts: ['a heron', 'a boat'],
      validateEvery: 2,
      validationSteps: 2,
      validationSeed: 5,
    });
    const run = await harness.over('r1');
    expect(run.sampleImages).toEqual([
      'r1/step-000002-0.png',
      'r1/step-000002-1.png',
      'r1/step-000004-0.png',
      'r1/step-000004-1.png',
    ]);
    const told = (await harness.events('r1', 'sample')).map(({ runSample }) => [
      runSample?.step,
      runSample?.prompt,
      runSample?.image,
    ]);
    expect(told).toEqual([
      [2, 'a heron', run.sampleImages[0]],
      [2, 'a boat', run.sampleImages[1]],
      [4, 'a heron', run.sampleImages[2]],
      [4, 'a boat', run.sampleImages[3]],
    ]);
    const pictures = await Promise.all(run.sampleImages.map((image) => harness.blobs.get('samples', image)));
    for (const picture of pictures) expect(Buffer.from(picture).subarray(1, 4).toString()).toBe('PNG');
    expect(Buffer.from(pictures[0]!).equals(Buffer.from(pictures[2]!))).toBe(false);
  });

  it('cancelled ends within a step, says so, and leaves nothing on the queue', async () => {
    await harness.startService();
    await harness.startRun('r1', await harness.dataset('d', 2), { totalSteps: 100_000, checkpointEvery: 5 });
    await harness.reached('r1', 6);
    await harness.runs.update('r1', (run) => Object.assign(run, { cancelRequested: true }));
    const asked = Date.now();
    const run = await harness.over('r1');
    expect(Date.now() - asked).toBeLessThan(20_000);
    expect(run).toMatchObject({ state: RunState.RUN_STATE_CANCELLED, adapter: '' });
    expect(await harness.adapters.get('adapter-r1')).toBeNull();
    expect(await harness.blobs.list('checkpoints')).toEqual([]);
    expect((await harness.events('r1', 'state')).at(-1)?.runState?.state).toBe(RunState.RUN_STATE_CANCELLED);
  });

  it('goes on through a restart of nats-server, to the adapter of an undisturbed run', async () => {
    await harness.startService();
    await harness.startRun('r1', await harness.dataset('d', 3), { totalSteps: 60, checkpointEvery: 10 });
    await harness.over('r1');
    await harness.startRun('r2', 'd', { totalSteps: 60, checkpointEvery: 10 });
    await harness.reached('r2', 5);
    await harness.test.restartNats();
    const run = await waitFor(
      'the end of the run',
      () =>
        harness.run('r2').then(
          (r) => r.state > RunState.RUN_STATE_TRAINING && r,
          () => null,
        ),
      100_000,
    );
    expect(run).toMatchObject({ state: RunState.RUN_STATE_FINISHED, step: 60 });
    expect((await harness.adapterBytes('r1')).equals(await harness.adapterBytes('r2'))).toBe(true);
  });
});

describe('a run’s encodings', () => {
  const encoding = { state: RunState.RUN_STATE_ENCODING, encoded: false };
  const ingestWork = async (id: string): Promise<IngestWork[]> => {
    const work = await harness.work(subjects.work.ingest);
    return work.map((bytes) => IngestWork.decode(bytes)).filter(({ runId }) => runId === id);
  };

  it('that were refused are left out, and change nothing for the others', async () => {
    await harness.startService();
    await harness.dataset('d', 3, { encoded: false });
    for (const index of [0, 2]) await harness.encode('d', index);
    const told = { leftOut: [1], skipped: 1 };
    await harness.startRun('r1', 'd', { totalSteps: 6 }, told);
    expect(await harness.over('r1')).toMatchObject({ state: RunState.RUN_STATE_FINISHED, step: 6, skipped: 1 });
  });

  it('that were deleted are asked for again, and nothing is held meanwhile: the next run is served', async () => {
    await harness.startService();
    await harness.dataset('d', 3);
    await harness.dataset('gone', 3, { encoded: false });
    for (const index of [0, 1]) await harness.encode('gone', index);
    await harness.startRun('r1', 'gone', { totalSteps: 8 }, { datasetId: 'set' });
    await waitFor('the run to be given back', async () => (await harness.run('r1')).turns === 2);
    expect(await harness.run('r1')).toMatchObject({ ...encoding, inHand: false, attempts: 0 });
    expect((await harness.events('r1', 'state.*')).at(-1)?.runState?.state).toBe(encoding.state);
    await waitFor('its data set to be asked', async () => (await ingestWork('r1')).length === 1);
    expect(await ingestWork('r1')).toEqual([expect.objectContaining({ datasetId: 'set', runId: 'r1' })]);
    await harness.startRun('r2', 'd', { totalSteps: 8 });
    await waitFor('the next', async () => (await harness.run('r2')).state === RunState.RUN_STATE_FINISHED);

    // As if it had never been away.
    await harness.test.mesh.jsm.streams.purge(streams.WORK, { filter: subjects.work.ingest });
    await harness.encode('gone', 2);
    await new Runs(harness.test.mesh).encoded('r1', 2, []);
    await harness.over('r1');
    await harness.startRun('undisturbed', 'gone', { totalSteps: 8 });
    await harness.over('undisturbed');
    expect((await harness.adapterBytes('r1')).equals(await harness.adapterBytes('undisturbed'))).toBe(true);
    expect(await harness.deadLetters()).toBe(0);
  });

  it('are asked for once more by the next trainer where the one that missed them died in between', async () => {
    await harness.dataset('d', 2, { encoded: false });
    // As it stands when the state was written and nothing was sent: the message comes again.
    await harness.startRun('r1', 'd', {}, { datasetId: 'set', turns: 2, workSequence: 1, ...encoding });
    await harness.startService();
    await waitFor('its data set to be asked', async () => (await ingestWork('r1')).length === 1);
    await waitFor('its message to be done', async () => (await harness.work(subjects.work.train)).length === 0);
    expect(await harness.run('r1')).toMatchObject({ ...encoding, turns: 2 });
  });

  it('are waited for first where 0.1.0 sent the run to its trainer before they were there', async () => {
    await harness.dataset('d', 2, { encoded: false });
    await harness.startRun('r1', 'd', {}, { datasetId: 'set', turns: 0, ...encoding });
    await harness.startService();
    await waitFor('its data set to be asked', async () => (await ingestWork('r1')).length === 1);
    await waitFor('its message to be done', async () => (await harness.work(subjects.work.train)).length === 0);
    expect(await harness.run('r1')).toMatchObject({ ...encoding, fence: 0 });
  });

  it('are taken to be there where a trainer of 0.1.0 was at it already', async () => {
    await harness.startRun(
      'r1',
      await harness.dataset('d', 2),
      {},
      { ...encoding, state: RunState.RUN_STATE_TRAINING },
    );
    await harness.startService();
    expect(await harness.over('r1')).toMatchObject({ state: RunState.RUN_STATE_FINISHED, encoded: true });
  });
});

describe('a run’s options', () => {
  /** In the words of 0.1.0, whose messages have texts where there are enums now. */
  const EARLIER: ITrainOptions = {
    rank: 2,
    alpha: 2,
    targets: ['to_k', 'to_q', 'to_v', 'to_out.0'],
    optimizer: 'adamw',
    learningRate: 1e-3,
    weightDecay: 0,
    maxGradNorm: 1,
    accumulation: 1,
    lrSchedule: 'linear',
    warmupSteps: 0,
    totalSteps: 4,
    weighting: 'mode',
    logitMean: 0,
    logitStd: 1,
    modeScale: 0.5,
    guidance: 0,
    seed: 7,
    recompute: false,
    quant: 'nf4',
    checkpointEvery: 0,
    validateEvery: 0,
    validationSteps: 28,
    onBadSample: 'skip',
    validationSeed: 0,
  };
  const TODAY: Partial<CompleteTrainOptions> = {
    optimizer: 'adamw',
    weightDecay: 0,
    lrSchedule: 'linear',
    weighting: 'mode',
    modeScale: 0.5,
    guidance: 0,
    recompute: false,
    quant: 'nf4',
  };

  it('mean in a message of 0.1.0 what they mean today: the adapters are the same', async () => {
    await harness.startService();
    const manifest = await harness.dataset('d', 2);
    await harness.startRun('earlier', manifest, {}, { options: EARLIER });
    await harness.startRun('today', manifest, TODAY);
    expect([(await harness.over('earlier')).error, (await harness.over('today')).error]).toEqual(['', '']);
    expect((await harness.adapterBytes('earlier')).equals(await harness.adapterBytes('today'))).toBe(true);
  });

  it.each<[string, Partial<CompleteTrainOptions>]>([
    ['adam_beta1', { adamBeta1: 0.5 }],
    ['adam_beta2', { adamBeta2: 0.5 }],
    ['adam_epsilon', { adamEpsilon: 0.1 }],
    ['lr_num_cycles', { lrNumCycles: 2 }],
  ])('reach the optimizer: another %s is another adapter', async (_name, options) => {
    await harness.startService();
    const manifest = await harness.dataset('d', 1);
    const both: Partial<CompleteTrainOptions> = { lrSchedule: 'cosine_with_restarts', optimizer: 'adamw' };
    await harness.startRun('usual', manifest, both);
    await harness.startRun('other', manifest, { ...both, ...options });
    expect([(await harness.over('usual')).error, (await harness.over('other')).error]).toEqual(['', '']);
    expect((await harness.adapterBytes('other')).equals(await harness.adapterBytes('usual'))).toBe(false);
  });

  it.each<[string, Partial<CompleteTrainOptions>]>([
    ['timestep_sampling', { timestepSampling: 'sigmoid' }],
    ['flow_shift', { flowShift: 3 }],
    ['resolution_shift', { resolutionShift: true }],
    ['min_sigma', { minSigma: 0.3 }],
    ['loss_type', { lossType: 'huber' }],
    ['weighting', { weighting: 'bell' }],
  ])('reach the loss: another %s is another adapter', async (_name, options) => {
    await harness.startService();
    const manifest = await harness.dataset('d', 1);
    await harness.startRun('usual', manifest, { optimizer: 'adamw' });
    await harness.startRun('other', manifest, { optimizer: 'adamw', ...options });
    expect([(await harness.over('usual')).error, (await harness.over('other')).error]).toEqual(['', '']);
    expect((await harness.adapterBytes('other')).equals(await harness.adapterBytes('usual'))).toBe(false);
  });

  it('reach the schedule: another lr_power is another learning rate', async () => {
    await harness.startService();
    await harness.startRun('r1', await harness.dataset('d', 1), { lrSchedule: 'polynomial', lrPower: 2 });
    await harness.over('r1');
    const rates = (await harness.events('r1', 'step')).map((event) => event.runStep?.learningRate ?? 0);
    // diffusers: (lr - 1e-7) (1 - step / steps)^power + 1e-7
    const expected = [0, 1, 2, 3].map((step) => (1e-3 - 1e-7) * (1 - step / 4) ** 2 + 1e-7);
    expect(rates).toHaveLength(4);
    rates.forEach((rate, i) => expect(rate).toBeCloseTo(expected[i]!, 12));
  });
});

describe('what cannot be trained fails at once, with the reason', () => {
  const fails = async (id: string): Promise<string> => {
    const run = await harness.over(id);
    expect(run.state).toBe(RunState.RUN_STATE_FAILED);
    expect((await harness.events(id, 'state')).at(-1)?.runState).toMatchObject({
      state: RunState.RUN_STATE_FAILED,
      error: run.error,
    });
    return run.error;
  };

  it.each([
    ['targets that match nothing', { targets: ['to_nowhere'] }, /to_nowhere/],
    ['an unknown optimizer', { optimizer: 'sgd' }, /optimizer: "sgd" is unknown here: choose one of adamw8bit/],
    [
      'an optimizer of a later version',
      TrainOptions.fromObject({ optimizerKind: 99 }),
      /optimizer: .*99.* is unknown here/,
    ],
    ['an unknown quant', { quant: 'int3' }, /int3.*nf4/],
    ['an unknown schedule', { lrSchedule: 'zigzag' }, /zigzag/],
    ['no steps', { totalSteps: 0 }, /total_steps 0/],
    ['a rank beyond the declared', { rank: 1025 }, /rank 1025.*at most 1024/],
  ] as [string, ITrainOptions, RegExp][])('%s', async (_what, options, reason) => {
    await harness.startService();
    await harness.startRun('r1', await harness.dataset('d', 1), {}, { options });
    expect(await fails('r1')).toMatch(reason);
  });

  it('latents of another size than the manifest says', async () => {
    await harness.startService();
    await harness.dataset('d', 1);
    await harness.tensors.put('latents', 'd-l0', latentsBytes('0', 32, 32));
    await harness.startRun('r1', 'd');
    expect(await fails('r1')).toMatch(/s0\.png.*\[16, 4, 4\].*8, 8/);
  });

  it('a manifest that is not there, and one of another model', async () => {
    await harness.startService();
    await harness.startRun('r1', 'nowhere');
    expect(await fails('r1')).toMatch(/nowhere/);
    await harness.blobs.put(
      'manifests',
      'other',
      Manifest.encode({ samples: [{ name: 'a' }], vaeFingerprint: 'another' }).finish(),
    );
    await harness.startRun('r2', 'other');
    expect(await fails('r2')).toMatch(/another VAE.*ATELIER_MODEL/);
  });

  it('a run that the device could never hold, with the numbers', async () => {
    await harness.startService({ ATELIER_DEVICE_MIB: '1' });
    await harness.startRun('r1', await harness.dataset('d', 1));
    expect(await fails('r1')).toMatch(/needs \d+ bytes of cpu, which has 1048576/);
  });

  it('a run whose trainer died over it every time, by the next trainer', async () => {
    await harness.startRun('r1', await harness.dataset('d', 1));
    await dieOver(harness.test.mesh, subjects.work.train);
    await harness.startService();
    expect(await fails('r1')).toMatch(/died while handling it/);
    expect(await harness.deadLetters()).toBe(1);
  });
});

describe('the plan', () => {
  const ask = (width: number, options: Partial<CompleteTrainOptions> = {}) =>
    callService(
      harness.test.mesh,
      calls.plan,
      { options: trainOptionsMessage(harness.options(options)), width, height: 64, textTokens: TEXT_TOKENS },
      { timeoutMs: 20_000 },
    );

  it('that is asked for beforehand is the plan of the run, to the byte', async () => {
    await harness.startService();
    const plan = await ask(64);
    await harness.startRun('r1', await harness.dataset('d', 1), { totalSteps: 1 });
    expect((await harness.over('r1')).plan).toEqual(plan);
    expect((await ask(128)).arenaBytes).toBeGreaterThan(plan.arenaBytes);
  });

  it('is made to fit the device, keeping less for backward than was asked for, and the adapter is the same', async () => {
    await harness.startService();
    const keep = { recompute: false };
    const [most, least] = [await ask(64, keep), await ask(64)];
    await harness.startRun('r1', await harness.dataset('d', 1), keep);
    expect((await harness.over('r1')).plan).toEqual(most);
    await harness.stopService();
    const room = Math.floor((most.totalBytes + least.totalBytes) / 2);
    await harness.startService({ ATELIER_DEVICE_MIB: `${room / 1024 ** 2}` });
    const plan = await ask(64, keep);
    expect(plan.totalBytes).toBeLessThanOrEqual(room);
    expect(plan.totalBytes).toBeGreaterThan(least.totalBytes);
    await harness.startRun('r2', 'd', keep);
    expect((await harness.over('r2')).plan).toEqual(plan);
    expect((await harness.adapterBytes('r2')).equals(await harness.adapterBytes('r1'))).toBe(true);
  });

  it('of what cannot be trained is refused with the reason', async () => {
    await harness.startService();
    await expect(ask(60)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(/60 × 64.*16/),
    });
    await expect(ask(64, { targets: ['to_nowhere'] })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});
