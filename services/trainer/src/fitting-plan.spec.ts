import type { MemoryPlan, PartialTrainOptions } from '@atelier/engine';
import { fittingPlan } from './fitting-plan';

const SHAPES = [{ gridH: 2, gridW: 2, textTokens: 5 }];

/** Plans that take what is asked for, `free` bytes where nothing is. */
function planning(free: number, contextBytes: number) {
  return {
    planTraining: async ({ memoryBudget }: PartialTrainOptions) =>
      ({ totalBytes: memoryBudget || free, contextBytes }) as MemoryPlan,
  };
}

describe('a plan that fits', () => {
  it('on a card is what the trainer is held to, whatever is free when it is made', async () => {
    const { options, plan } = await fittingPlan(planning(800, 10), { rank: 4 }, SHAPES, 1000);
    expect(plan.totalBytes).toBe(800);
    expect(options).toEqual({ rank: 4, memoryBudget: 800 });
  });

  it('on a card is made for what may be leased where more is free', async () => {
    const { options, plan } = await fittingPlan(planning(1200, 10), { rank: 4 }, SHAPES, 1000);
    expect(plan.totalBytes).toBe(1000);
    expect(options).toEqual({ rank: 4, memoryBudget: 1000 });
  });

  it('on the CPU is that of the options as they are', async () => {
    expect((await fittingPlan(planning(800, 0), { rank: 4 }, SHAPES, 1000)).options).toEqual({ rank: 4 });
  });
});
