// Promises of a trainer that the goldens do not show: its memory is known beforehand, and a saved state resumes it bit for bit.
import { Engine, type Transformer, type OptimizerKind, type PartialTrainOptions, type Trainer } from '@atelier/engine';
import { gradientsOf, modulesOf } from '../../../test/parity/src/models';
import { useTestingAddon } from '../../../test/parity/src/testing-addon';
import { component, LORA, sample, SHAPE } from './tiny';

useTestingAddon();

let engine: Engine;
let transformer: Transformer;

beforeAll(async () => {
  engine = await Engine.open({ device: 'cpu', threads: 2 });
  transformer = await engine.loadTransformer(component('transformer'), { quant: 'nf4' });
});

afterAll(() => engine.close());

const LARGE = { gridH: 5, gridW: 4, textTokens: 11 };

describe('memory', () => {
  test.each([
    ['recomputed', { recompute: true }],
    ['kept', { recompute: false }],
    ['wide targets', { targets: ['ff.net.2', 'proj_out', 'norm.linear', 'x_embedder'] }],
    ['rank 16', { rank: 16 }],
  ])(
    'activations %s: the plan is what is taken, to the byte, and what a step of the largest shape touches',
    async (_, options: PartialTrainOptions) => {
      const plan = await transformer.planTraining({ ...LORA, ...options }, [SHAPE, LARGE]);
      const trainer = await transformer.createTrainer({ ...LORA, ...options }, [SHAPE, LARGE]);
      expect(trainer.memoryPlan).toEqual(plan);
      expect(plan.totalBytes).toBe(plan.arenaBytes + plan.weightBytes + plan.stateBytes + plan.workspaceBytes);
      expect(plan.weightBytes).toBe(transformer.weightBytes);
      expect(trainer.arenaHighWater).toBe(0);
      await trainer.microStep(sample(1, LARGE));
      await trainer.optimizerStep();
      expect(trainer.arenaHighWater).toBe(plan.arenaBytes);
      await trainer.dispose();
    },
  );

  test('recompute takes less, and a larger shape more', async () => {
    const bytes = async (recompute: boolean, shape = LARGE) =>
      (await transformer.planTraining({ ...LORA, recompute }, [shape])).arenaBytes;
    expect(await bytes(true)).toBeLessThan(await bytes(false));
    expect(await bytes(true, SHAPE)).toBeLessThan(await bytes(true, LARGE));
  });

  test('recompute changes no bit of a gradient', async () => {
    const gradients = async (recompute: boolean) => {
      const trainer = await transformer.createTrainer({ ...LORA, recompute }, [SHAPE]);
      await trainer.microStep(sample(1));
      return gradientsOf(trainer);
    };
    expect(await gradients(true)).toEqual(await gradients(false));
  });
});

describe('a memory budget', () => {
  const plan = (options: PartialTrainOptions) => transformer.planTraining({ ...LORA, ...options }, [LARGE]);

  test('is kept to, spent on keeping more, and changes no bit', async () => {
    const [least, most] = [await plan({ recompute: true }), await plan({ recompute: false })];
    const gradients = [];
    for (const memoryBudget of [
      least.totalBytes,
      Math.floor((least.totalBytes + most.totalBytes) / 2),
      most.totalBytes,
    ]) {
      const trainer = await transformer.createTrainer({ ...LORA, memoryBudget }, [LARGE]);
      expect(trainer.memoryPlan).toEqual(await plan({ memoryBudget }));
      expect(trainer.memoryPlan.totalBytes).toBeLessThanOrEqual(memoryBudget);
      await trainer.microStep(sample(1, LARGE));
      expect(trainer.arenaHighWater).toBe(trainer.memoryPlan.arenaBytes);
      gradients.push(await gradientsOf(trainer));
      await trainer.dispose();
    }
    expect(gradients[1]).toEqual(gradients[0]);
    expect(gradients[2]).toEqual(gradients[0]);
    expect((await plan({ memoryBudget: least.totalBytes })).choice).toMatchObject({
      keepAll: 1,
      keepInput: 4,
      resident: 5,
    });
    expect((await plan({ memoryBudget: most.totalBytes })).choice).toMatchObject({ keepAll: 5, keepInput: 0 });
  });

  test('that is too small is refused with the smallest that works', async () => {
    const { totalBytes } = await plan({ recompute: true });
    await expect(plan({ memoryBudget: totalBytes - 1 })).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      message: expect.stringContaining(`${totalBytes} bytes`),
    });
  });
});

describe('resuming', () => {
  const kinds: OptimizerKind[] = ['adamw8bit', 'adamw', 'adamw8bit_all'];

  test.each(kinds)('%s: a saved state continues to the same bits, draws included', async (optimizer) => {
    const options: PartialTrainOptions = {
      ...LORA,
      optimizer,
      accumulation: 2,
      learningRate: 1e-3,
      lrSchedule: 'cosine',
      warmupSteps: 2,
      totalSteps: 6,
      weighting: 'logit_normal',
      seed: 5,
    };
    const whole = await transformer.createTrainer(options, [SHAPE]);
    const halved = await transformer.createTrainer(options, [SHAPE]);
    const expected = await steps(whole, 0, 6);
    const first = await steps(halved, 0, 3);
    const state = await halved.saveState();
    await halved.dispose();
    const resumed = await transformer.createTrainer(options, [SHAPE]);
    await steps(resumed, 40, 42); // whatever it did before is forgotten
    await resumed.loadState(state);
    expect(resumed.step).toBe(3);
    expect([...first, ...(await steps(resumed, 3, 6))]).toEqual(expected);
    expect(await modules(resumed)).toEqual(await modules(whole));
    expect(await resumed.saveState()).toEqual(await whole.saveState());
  });

  test('another seed draws otherwise', async () => {
    const loss = async (seed: number) =>
      (await (await transformer.createTrainer({ ...LORA, seed }, [SHAPE])).microStep(sample())).loss;
    expect(await loss(1)).toBe(await loss(1));
    expect(await loss(1)).not.toBe(await loss(2));
  });

  async function steps(trainer: Trainer, from: number, to: number) {
    const results: unknown[] = [];
    for (let step = from; step < to; step++) {
      for (const id of [2 * step, 2 * step + 1]) results.push(await trainer.microStep(sample(id % 5)));
      results.push(await trainer.optimizerStep());
    }
    return results;
  }

  async function modules(trainer: Trainer) {
    return modulesOf(await trainer.adapter());
  }
});

test('threads change no more than the order of sums may', async () => {
  const single = await Engine.open({ device: 'cpu', threads: 1, isa: 'portable' });
  const other = await single.loadTransformer(component('transformer'), { quant: 'nf4' });
  const losses = await Promise.all(
    [transformer, other].map(
      async (model) => (await (await model.createTrainer(LORA, [SHAPE])).microStep(sample())).loss,
    ),
  );
  expect(Math.abs(losses[0]! - losses[1]!)).toBeLessThan(1e-5 * losses[0]!);
  await single.close();
});
