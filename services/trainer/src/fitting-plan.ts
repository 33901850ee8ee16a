import type { Call, Transformer, MemoryPlan, PartialTrainOptions, Shape } from '@atelier/engine';

export interface FittingPlan {
  options: PartialTrainOptions;
  plan: MemoryPlan;
}

/**
 * A run's options as they are where they fit into `room` bytes; else with a budget, so that only as much is kept for backward as fits: the
 * same adapter, later. What fits in no way comes back as little as it can be, for the lease to refuse with the numbers.
 */
export async function fittingPlan(
  transformer: Pick<Transformer, 'planTraining'>,
  options: PartialTrainOptions,
  shapes: readonly Shape[],
  room: number,
  call?: Call,
): Promise<FittingPlan> {
  const plan = await transformer.planTraining(options, shapes, call);
  // A card is planned within what is free on it now; the trainer shall not take more of it when it is made than was leased.
  if (plan.totalBytes <= room)
    return { options: plan.contextBytes > 0 ? { ...options, memoryBudget: plan.totalBytes } : options, plan };
  const within = { ...options, memoryBudget: Math.max(1, Math.floor(room)) };
  try {
    return { options: within, plan: await transformer.planTraining(within, shapes, call) };
  } catch (error) {
    if ((error as { code?: string }).code !== 'RESOURCE_EXHAUSTED') throw error;
    const least = { ...options, recompute: true };
    return { options: least, plan: await transformer.planTraining(least, shapes, call) };
  }
}
