// States in the words that people see, on the command line, in JSON and on the page alike.
import { DatasetState, enumNames, GenerationState, RunState, type IRun, type Run } from '@atelier/contracts';
import { describeStore, isFull, type StoreState } from '@atelier/mesh';
import { isRunOver } from './states';

const datasets = enumNames(DatasetState, 'DATASET_STATE');
const runs = enumNames(RunState, 'RUN_STATE');
const generations = enumNames(GenerationState, 'GENERATION_STATE');

const UNSPECIFIED = 'unspecified';

export const datasetStatus = (state: DatasetState): string => datasets.read(state) ?? UNSPECIFIED;
export const runStatus = (state: RunState): string => runs.read(state) ?? UNSPECIFIED;
export const generationStatus = (state: GenerationState): string => generations.read(state) ?? UNSPECIFIED;

type Waiting = Pick<IRun, 'state' | 'unseenServices'>;

/**
 * Why a run that is not over does not come on just now, in words for people; empty where nothing is known to hold it
 * up.
 */
export function waitsFor(run: Waiting, store?: StoreState): string {
  if (isRunOver(run)) return '';
  const full = store && isFull(store) ? `the store is full: ${describeStore(store)}` : '';
  const reasons = [full && `${full}. The run keeps its state and goes on when there is room`, unseen(run)];
  return reasons.filter(Boolean).join('; ');
}

/** Of how long it is said that nobody has heard of a service. */
export const UNSEEN_MS = 60_000;

const unseen = ({ unseenServices }: Waiting): string =>
  (unseenServices ?? []).map((service) => `no ${service} service has been seen for ${UNSEEN_MS / 1000} s`).join('; ');

/** "training, preempted 3×", "queued, place 2" */
export function statusOf(run: Run, place?: number): string {
  const asked = run.pauseRequested && !isRunOver(run) ? 'to be paused' : '';
  return [runStatus(run.state), place && `place ${place}`, asked, preempted(run)].filter(Boolean).join(', ');
}

/** What a person reads of a run that was put down now and then: nothing where it never was. */
export const preempted = ({ preemptions }: { preemptions?: number | null }): string =>
  preemptions ? `preempted ${preemptions}×` : '';
