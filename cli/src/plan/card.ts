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

/** What was chosen and how long it would take, for people. */
export function cardLines(
  { choice, time, parkedBytes }: MemoryPlan,
  options: CompleteTrainOptions,
  card: string,
): string[] {
  const blocks = blocksOf(choice);
  const steps = options.totalSteps;
  const micro = options.accumulation;
  return [
    'what the memory is spent on',
    `  kept for backward      ${[
      [choice.keepAll, 'all'],
      [choice.keepAttention, 'attention'],
      [choice.keepInput, 'the input alone'],
    ]
      .map(([count, what]) => `${what} of ${count}`)
      .join(', ')} blocks`,
    `  parked till backward   ${choice.parked} of ${blocks} blocks${choice.parked ? `, in ${bytes(parkedBytes)} of host memory` : ''}`,
    `  weights                ${choice.resident} of ${blocks} blocks stay on the card${choice.resident < blocks ? ', the others are fetched for each use' : ''}${choice.widened ? `, ${choice.widened} of them widened to bf16` : ''}; modulation ${choice.modulationResident ? 'stays' : 'is fetched'}`,
    ...(choice.together > 1
      ? [
          `  passes                 ${choice.together} micro-steps at once, so that what is fetched is fetched once for all of them`,
        ]
      : []),
    `time by a model of the ${card}'s published rates, not measured`,
    `  micro-step             ${milliseconds(time.totalMs)}: forward ${milliseconds(time.forwardMs)}, backward ${milliseconds(time.backwardMs)} of which made again ${milliseconds(time.againMs)}`,
    `  transfers beside it    ${milliseconds(time.forwardFetchMs)} fetching and ${milliseconds(time.parkMs)} parking in forward, ${milliseconds(time.backwardFetchMs)} fetching in backward`,
    `  run                    ${duration(secondsOf(time.totalMs, steps, micro))} for ${steps} steps of ${micro} micro-step${micro === 1 ? '' : 's'}`,
    'no card has run this yet: docs/cuda.md',
  ];
}

/** The same, for scripts. */
export function cardObject(
  { choice, time, contextBytes, parkedBytes }: MemoryPlan,
  options: CompleteTrainOptions,
  card: string,
): object {
  return {
    gpu: card,
    context_bytes: contextBytes,
    keep_input: choice.keepInput,
    keep_attention: choice.keepAttention,
    keep_all: choice.keepAll,
    parked_blocks: choice.parked,
    parked_bytes: parkedBytes,
    resident_blocks: choice.resident,
    widened_blocks: choice.widened,
    blocks: blocksOf(choice),
    modulation_resident: choice.modulationResident,
    micro_steps_together: choice.together,
    predicted: {
      micro_step_ms: time.totalMs,
      forward_ms: time.forwardMs,
      backward_ms: time.backwardMs,
      again_ms: time.againMs,
      forward_fetch_ms: time.forwardFetchMs,
      backward_fetch_ms: time.backwardFetchMs,
      park_ms: time.parkMs,
      run_s: secondsOf(time.totalMs, options.totalSteps, options.accumulation),
    },
  };
}

function blocksOf({ keepInput, keepAttention, keepAll }: MemoryPlan['choice']): number {
  return keepInput + keepAttention + keepAll;
}

function secondsOf(microMs: number, steps: number, micro: number): number {
  return (microMs * steps * micro) / 1000;
}

function milliseconds(value: number): string {
  return `${value.toFixed(value < 10 ? 1 : 0)} ms`;
}
