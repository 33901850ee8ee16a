import type { IMemoryPlan } from '@atelier/contracts';

/** What a run takes, in the words of the HTTP API and of `atelier plan --json`. */
export interface MemoryPlanView {
  arena_bytes: number;
  weight_bytes: number;
  state_bytes: number;
  workspace_bytes: number;
  /** A card's driver; 0 on the CPU. */
  context_bytes: number;
  total_bytes: number;
  /** Of the host, and not in the total. */
  parked_bytes: number;
  /** Nothing in a plan of version 0.1.0. */
  choice: MemoryChoiceView | null;
  /** Nothing on the CPU, of which there is no model. */
  predicted: StepTimeView | null;
}

/** In numbers of blocks. */
export interface MemoryChoiceView {
  keep_input: number;
  keep_attention: number;
  keep_all: number;
  parked_blocks: number;
  resident_blocks: number;
  widened_blocks: number;
  modulation_resident: boolean;
  micro_steps_together: number;
}

/** A micro-step by a card's published rates, never measured. */
export interface StepTimeView {
  micro_step_ms: number;
  forward_ms: number;
  backward_ms: number;
  again_ms: number;
  forward_fetch_ms: number;
  backward_fetch_ms: number;
  park_ms: number;
}

export function memoryPlanView(plan: IMemoryPlan): MemoryPlanView {
  const { choice, time } = plan;
  return {
    arena_bytes: plan.arenaBytes ?? 0,
    weight_bytes: plan.weightBytes ?? 0,
    state_bytes: plan.stateBytes ?? 0,
    workspace_bytes: plan.workspaceBytes ?? 0,
    context_bytes: plan.contextBytes ?? 0,
    total_bytes: plan.totalBytes ?? 0,
    parked_bytes: plan.parkedBytes ?? 0,
    choice: choice
      ? {
          keep_input: choice.keepInput ?? 0,
          keep_attention: choice.keepAttention ?? 0,
          keep_all: choice.keepAll ?? 0,
          parked_blocks: choice.parked ?? 0,
          resident_blocks: choice.resident ?? 0,
          widened_blocks: choice.widened ?? 0,
          modulation_resident: choice.modulationResident ?? false,
          micro_steps_together: choice.together ?? 0,
        }
      : null,
    predicted: time?.totalMs
      ? {
          micro_step_ms: time.totalMs,
          forward_ms: time.forwardMs ?? 0,
          backward_ms: time.backwardMs ?? 0,
          again_ms: time.againMs ?? 0,
          forward_fetch_ms: time.forwardFetchMs ?? 0,
          backward_fetch_ms: time.backwardFetchMs ?? 0,
          park_ms: time.parkMs ?? 0,
        }
      : null,
  };
}
