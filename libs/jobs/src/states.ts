import { DatasetState, GenerationState, RunState } from '@atelier/contracts';

/** Read, failed or cancelled: nobody reads it any more. */
export function isDatasetOver({ state }: { state?: DatasetState | null }): boolean {
  return (
    state === DatasetState.DATASET_STATE_INGESTED ||
    state === DatasetState.DATASET_STATE_FAILED ||
    state === DatasetState.DATASET_STATE_CANCELLED
  );
}

export function isDatasetCancelled({ state }: { state?: DatasetState | null }): boolean {
  return state === DatasetState.DATASET_STATE_CANCELLED;
}

export function isRunOver({ state }: { state?: RunState | null }): boolean {
  return (
    state === RunState.RUN_STATE_FINISHED ||
    state === RunState.RUN_STATE_FAILED ||
    state === RunState.RUN_STATE_CANCELLED
  );
}

export function isGenerationOver({ state }: { state?: GenerationState | null }): boolean {
  return (
    state === GenerationState.GENERATION_STATE_FINISHED ||
    state === GenerationState.GENERATION_STATE_FAILED ||
    state === GenerationState.GENERATION_STATE_CANCELLED
  );
}
