import { MemoryPlan } from '@atelier/contracts';
import { memoryPlanView } from '@atelier/jobs';

describe('the view of a memory plan', () => {
  const released = MemoryPlan.create({
    arenaBytes: 1,
    weightBytes: 2,
    stateBytes: 3,
    workspaceBytes: 4,
    totalBytes: 10,
  });

  it('of version 0.1.0 has its bytes, and neither a choice nor a time', () => {
    expect(memoryPlanView(MemoryPlan.decode(MemoryPlan.encode(released).finish()))).toEqual({
      arena_bytes: 1,
      weight_bytes: 2,
      state_bytes: 3,
      workspace_bytes: 4,
      context_bytes: 0,
      total_bytes: 10,
      parked_bytes: 0,
      choice: null,
      predicted: null,
    });
  });

  it('tells on the CPU what is kept, and no time, of which there is no model', () => {
    const plan = MemoryPlan.create({ ...released, choice: { keepAll: 3, resident: 3, together: 1 }, time: {} });
    expect(memoryPlanView(plan)).toMatchObject({
      choice: { keep_input: 0, keep_attention: 0, keep_all: 3, resident_blocks: 3, modulation_resident: false },
      predicted: null,
    });
  });

  it('tells for a card also the time and what is parked, numbers beyond 32 bits among them', () => {
    const plan = MemoryPlan.create({
      ...released,
      parkedBytes: 6 * 2 ** 32,
      choice: { keepAll: 57, parked: 56, modulationResident: true, together: 4 },
      time: { totalMs: 558, forwardMs: 180, backwardMs: 378, parkMs: 100 },
    });
    expect(memoryPlanView(MemoryPlan.decode(MemoryPlan.encode(plan).finish()))).toMatchObject({
      parked_bytes: 6 * 2 ** 32,
      choice: { parked_blocks: 56, modulation_resident: true, micro_steps_together: 4 },
      predicted: { micro_step_ms: 558, forward_ms: 180, backward_ms: 378, again_ms: 0, park_ms: 100 },
    });
  });
});
