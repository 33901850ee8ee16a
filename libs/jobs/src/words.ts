// States in the words that people see, on the command line, in JSON and on the page alike.
import { DatasetState, enumNames, GenerationState, RunState } from '@atelier/contracts';
import { describeStore, isFull, type StoreState } from '@atelier/mesh';
import { isRunOver } from './states';

const datasets = enumNames(DatasetState, 'DATASET_STATE');
const runs = enumNames(RunState, 'RUN_STATE');
const generations = enumNames(GenerationState, 'GENERATION_STATE');

const UNSPECIFIED = 'unspecified';

export const datasetStatus = (state: DatasetState): string => datasets.read(state) ?? UNSPECIFIED;
export const runStatus = (state: RunState): string => runs.read(state) ?? UNSPECIFIED;
export const generationStatus = (state: GenerationState): string => generations.read(state) ?? UNSPECIFIED;

/**
 * Why a run that is not over does not come on just now, in words for people; empty where nothing is known to hold it
 * up.
 */
export function waitsFor(run: { state?: RunState | null }, store: StoreState | undefined): string {
  if (!store || !isFull(store) || isRunOver(run)) return '';
  return `the store is full: ${describeStore(store)}. The run keeps its state and goes on when there is room`;
}

/** What a person reads of a run that was put down now and then: nothing where it never was. */
export const preempted = ({ preemptions }: { preemptions?: number | null }): string =>
  preemptions ? `preempted ${preemptions}×` : '';
