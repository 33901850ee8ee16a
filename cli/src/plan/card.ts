import { join } from 'node:path';
import type { CompleteTrainOptions } from '@atelier/contracts';
import {
  engineTrainOptionsOf,
  FLUX_DEV_DIMS,
  type MemoryPlan,
  planOnCard,
  type Shape,
  transformerDims,
} from '@atelier/engine';
import type { MemoryChoiceView, MemoryPlanView, StepTimeView } from '@atelier/jobs';
import { bytes, duration } from '../output';
import type { Settings } from '../settings';

export const DEFAULT_CARD = '4090';

/** A plan from sizes alone: those of the checkpoint that was named, of which only the config is read, or FLUX.1-dev's. */
export async function planForCard(
  { model, modelGiven }: Settings,
  options: CompleteTrainOptions,
  shape: Shape,
  card: string,
  budget: number | undefined,
): Promise<MemoryPlan> {
  const dims = modelGiven ? transformerDims(join(model, 'transformer')) : FLUX_DEV_DIMS;
  const engineOptions = { ...engineTrainOptionsOf(options), memoryBudget: budget };
  return planOnCard({ dims, quant: options.quant, options: engineOptions, shapes: [shape], card });
}

/** What was chosen, for people. */
export function choiceLines(choice: MemoryChoiceView, parkedBytes: number): string[] {
  const blocks = blocksOf(choice);
  const kept = (
    [
      [choice.keep_all, 'all'],
      [choice.keep_attention, 'attention'],
      [choice.keep_input, 'the input alone'],
    ] as const
  ).map(([count, what]) => `${what} of ${count}`);
  const fetched = choice.resident_blocks < blocks ? ', the others are fetched for each use' : '';
  const widened = choice.widened_blocks ? `, ${choice.widened_blocks} of them widened to bf16` : '';
  const together = choice.micro_steps_together;
  return [
    'what the memory is spent on',
    `  kept for backward      ${kept.join(', ')} blocks`,
    `  parked till backward   ${choice.parked_blocks} of ${blocks} blocks${choice.parked_blocks ? `, in ${bytes(parkedBytes)} of host memory` : ''}`,
    `  weights                ${choice.resident_blocks} of ${blocks} blocks stay on the device${fetched}${widened}; modulation ${choice.modulation_resident ? 'stays' : 'is fetched'}`,
    ...(together > 1
      ? [
          `  passes                 ${together} micro-steps at once, so that what is fetched is fetched once for all of them`,
        ]
      : []),
  ];
}

/** How long it would take by a model of a card's published rates, for people. */
export function timeLines(
  time: StepTimeView,
  { totalSteps, accumulation }: CompleteTrainOptions,
  card: string,
): string[] {
  const micro = accumulation === 1 ? '1 micro-step' : `${accumulation} micro-steps`;
  return [
    `time by a model of ${card}'s published rates, not measured`,
    `  micro-step             ${milliseconds(time.micro_step_ms)}: forward ${milliseconds(time.forward_ms)}, backward ${milliseconds(time.backward_ms)} of which made again ${milliseconds(time.again_ms)}`,
    `  transfers beside it    ${milliseconds(time.forward_fetch_ms)} fetching and ${milliseconds(time.park_ms)} parking in forward, ${milliseconds(time.backward_fetch_ms)} fetching in backward`,
    `  run                    ${duration(secondsOf(time, totalSteps * accumulation))} for ${totalSteps} steps of ${micro}`,
    'no card has run this yet: docs/cuda.md',
  ];
}

/** A plan for scripts. */
export function planObject(
  { choice, predicted, ...bytesOf }: MemoryPlanView,
  { totalSteps, accumulation }: CompleteTrainOptions,
): object {
  return {
    type: 'plan',
    ...bytesOf,
    ...choice,
    ...(choice && { blocks: blocksOf(choice) }),
    ...(predicted && { predicted: { ...predicted, run_s: secondsOf(predicted, totalSteps * accumulation) } }),
  };
}

function blocksOf({ keep_input, keep_attention, keep_all }: MemoryChoiceView): number {
  return keep_input + keep_attention + keep_all;
}

function secondsOf({ micro_step_ms }: StepTimeView, microSteps: number): number {
  return (micro_step_ms * microSteps) / 1000;
}

function milliseconds(value: number): string {
  return `${value.toFixed(value < 10 ? 1 : 0)} ms`;
}
