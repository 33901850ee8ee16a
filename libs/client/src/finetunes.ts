import {
  AtelierError,
  BASE_MODEL,
  type Dataset,
  DatasetState,
  newestFirst,
  Run,
  RunState,
  timestamp,
  trainOptionsMessage,
  type CompleteTrainOptions,
} from '@atelier/contracts';
import { datasetUse, isRunOver } from '@atelier/jobs';
import type { Connection } from './connection';
import { findDataset } from './datasets';
import { checkAdapterName, isKey, newId, type Repeatable } from './names';
import { checkedTrainOptions } from './options';

export interface FinetuneRequest {
  /** Id or name of a data set. */
  dataset: string;
  /** Name of the adapter to make. Default: the data set's name, with a number if that is taken. */
  name?: string;
  options?: Partial<CompleteTrainOptions>;
  /** Let the new adapter take the place of one of the same name. Without it a taken name is refused. */
  replace?: boolean;
  /** Of runs that wait for a trainer the one with the largest goes first. Default: 0. */
  priority?: number;
}

/** Priorities go from its negative to it. */
export const MOST_PRIORITY = 100;

function checkedPriority(priority: number): number {
  if (Number.isInteger(priority) && Math.abs(priority) <= MOST_PRIORITY) return priority;
  const range = `-${MOST_PRIORITY} to ${MOST_PRIORITY}`;
  throw new AtelierError(
    'INVALID_ARGUMENT',
    `priority ${priority}: use a whole number, ${range}; the largest goes first`,
  );
}

/**
 * Writes the run, then its work; it resolves only when both are on disk. Throws StoreFull.
 * @param once of a request that may be asked once more
 */
export async function startFinetune(connection: Connection, request: FinetuneRequest, once?: Repeatable): Promise<Run> {
  const made = once && (await connection.runs.find(once.id));
  if (made) return connection.runs.queueAgain(made);
  const priority = checkedPriority(request.priority ?? 0);
  const options = trainOptionsMessage(checkedTrainOptions(request.options ?? {}));
  const dataset = await findDataset(connection, request.dataset);
  if (dataset.state === DatasetState.DATASET_STATE_FAILED) {
    throw new AtelierError(
      'FAILED_PRECONDITION',
      `data set ${dataset.name} could not be read: ${dataset.error}. Upload it again without what is wrong`,
    );
  }
  if (dataset.state === DatasetState.DATASET_STATE_CANCELLED) {
    const what = `data set ${dataset.name} was cancelled before it was read: upload it again`;
    throw new AtelierError('FAILED_PRECONDITION', what);
  }
  const name = await adapterName(connection, request, dataset.name);
  await connection.mesh.room.require(0, 'new work');
  const id = once?.id ?? newId('run');
  const run = Run.create({
    id,
    name,
    datasetId: dataset.id,
    state: RunState.RUN_STATE_QUEUED,
    options,
    priority,
    distinctPictures: picturesOf(dataset),
    createdAt: timestamp(),
  });
  await connection.runs.queue(run);
  return run;
}

/** Different pictures of a data set; 0 as long as it is not read. */
function picturesOf(dataset: Dataset): number {
  if (dataset.state !== DatasetState.DATASET_STATE_INGESTED) return 0;
  return Math.max(1, datasetUse(dataset).used - dataset.duplicates);
}

/** The name the run's adapter gets: the one asked for, if it is free, or the first free one after the data set's. */
async function adapterName(connection: Connection, request: FinetuneRequest, fallback: string): Promise<string> {
  const [runs, adapters] = await Promise.all([connection.runs.list(), connection.adapters.list()]);
  const training = new Set(runs.filter((run) => !isRunOver(run)).map((run) => run.name));
  const made = new Set(adapters.map((adapter) => adapter.name));
  if (request.name === undefined || request.name === '') {
    for (let count = 1; ; count++) {
      const name = count === 1 ? fallback : `${fallback.slice(0, 57)}-${count}`;
      if (name !== BASE_MODEL && !training.has(name) && !made.has(name)) return name;
    }
  }
  const name = checkAdapterName(request.name);
  if (training.has(name)) {
    throw new AtelierError(
      'ALREADY_EXISTS',
      `a run is already making an adapter named ${name}: wait for it, cancel it, or choose another name`,
    );
  }
  if (made.has(name) && !request.replace) {
    throw new AtelierError(
      'ALREADY_EXISTS',
      `there is already an adapter named ${name}: choose another name, or ask to replace it`,
    );
  }
  return name;
}

/** One run by its id, or the newest whose adapter has that name. */
export async function findRun({ runs }: Connection, key: string): Promise<Run> {
  const byId = isKey(key) ? await runs.find(key) : undefined;
  const found = byId ?? newestFirst(await runs.list()).find((run) => run.name === key);
  if (!found)
    throw new AtelierError(
      'NOT_FOUND',
      `there is no run ${JSON.stringify(key.slice(0, 80))}: list them to see what there is`,
    );
  return found;
}

export async function listRuns({ runs }: Connection): Promise<Run[]> {
  return newestFirst(await runs.list());
}

/** Asks for the end of a run; the trainer sees it within a step. A run that is over stays as it is. */
export async function cancelRun(connection: Connection, key: string): Promise<Run> {
  const { id } = await findRun(connection, key);
  return connection.runs.cancel(id);
}

/** Changes when a run's turn comes, as long as it waits. */
export async function prioritizeRun(connection: Connection, key: string, priority: number): Promise<Run> {
  const checked = checkedPriority(priority);
  const { id } = await findRun(connection, key);
  return connection.runs.prioritize(id, checked);
}

/** No trainer takes it until it is resumed; one that has it puts it down within a step. Done twice, it is done once. */
export async function pauseRun(connection: Connection, key: string): Promise<Run> {
  const { id } = await findRun(connection, key);
  return connection.runs.pause(id);
}

/** A run that is not paused stays as it is. */
export async function resumeRun(connection: Connection, key: string): Promise<Run> {
  const { id } = await findRun(connection, key);
  return connection.runs.resume(id);
}
