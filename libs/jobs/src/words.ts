// States in the words that people see, on the command line, in JSON and on the page alike.
import { DatasetState, GenerationState, RunState } from '@atelier/contracts';
import { describeStore, isFull, type StoreState } from '@atelier/mesh';
import { isRunOver } from './states';

/** Enum value → its name in the words people see: RUN_STATE_TRAINING → "training". */
function word(names: Record<number, string>, prefix: string, value: number): string {
  return (names[value] ?? 'unspecified').replace(prefix, '').toLowerCase();
}

const names = (values: Record<string, string | number>): Record<number, string> =>
  Object.fromEntries(
    Object.entries(values)
      .filter((entry): entry is [string, number] => typeof entry[1] === 'number')
      .map(([name, value]) => [value, name]),
  );

const datasetNames = names(DatasetState);
const runNames = names(RunState);
const generationNames = names(GenerationState);

export const datasetStatus = (state: DatasetState): string => word(datasetNames, 'DATASET_STATE_', state);
export const runStatus = (state: RunState): string => word(runNames, 'RUN_STATE_', state);
export const generationStatus = (state: GenerationState): string => word(generationNames, 'GENERATION_STATE_', state);

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
