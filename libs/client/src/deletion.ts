import { AdapterChange, AtelierError, type AdapterInfo, type Dataset } from '@atelier/contracts';
import { isRunOver, tellAdapter } from '@atelier/jobs';
import { isJunk } from '@atelier/store';
import type { Connection } from './connection';
import { findDataset } from './datasets';
import { checkAdapterName, checkName, isKey } from './names';

/** What can be deleted, in the words of the command line. */
export const DELETABLE = ['dataset', 'run', 'adapter', 'drawing', 'picture'] as const;

export type Deletable = (typeof DELETABLE)[number];

/**
 * Deletes it; throws FAILED_PRECONDITION where it is in use, with who uses it and what to do.
 * @param key an id, or a name that one alone has: of several, asking twice would take two
 * @returns its id; undefined: there is nothing of the kind, be it that it was deleted before
 */
export async function deleteThing(connection: Connection, kind: Deletable, key: string): Promise<string | undefined> {
  const { deletion } = connection;
  if (kind === 'picture') return (await deletion.picture(key)) ? key : undefined;
  if (kind === 'adapter') {
    if (!(await deletion.adapter(key))) return undefined;
    await tellAdapter(connection.mesh, { name: key, change: AdapterChange.ADAPTER_CHANGE_DELETED });
    return key;
  }
  if (!isKey(key)) return undefined;
  if (kind === 'drawing') return (await deletion.generation(key)) ? key : undefined;
  if (kind === 'run') {
    const run = await only('run', key, connection.runs);
    return (await deletion.run(run)) ? run : undefined;
  }
  const dataset = await only('data set', key, connection.datasets);
  return (await deletion.dataset(dataset)) ? dataset : undefined;
}

interface Named {
  id: string;
  name: string;
}

async function only(
  what: string,
  key: string,
  store: { find(id: string): Promise<Named | undefined>; list(): Promise<Named[]> },
): Promise<string> {
  if (await isThere(store, key)) return key;
  const [first, ...others] = (await store.list()).filter(({ name }) => name === key);
  if (others.length === 0) return first?.id ?? key;
  const ids = [first!, ...others].map(({ id }) => id).sort();
  throw new AtelierError(
    'FAILED_PRECONDITION',
    `${ids.length} ${what}s are named ${key}: delete by id (${ids.join(', ')})`,
    { name: key },
  );
}

/** Under the very id; one that cannot be read is there, too. */
async function isThere(store: { find(id: string): Promise<Named | undefined> }, id: string): Promise<boolean> {
  try {
    return (await store.find(id)) !== undefined;
  } catch (error) {
    if (isJunk(error)) return true;
    throw error;
  }
}

/** Gives a data set another name; the newest of a name is the one that is found by it. */
export async function renameDataset(connection: Connection, key: string, to: string): Promise<Dataset> {
  checkName('data set name', to);
  const { id } = await findDataset(connection, key);
  return connection.datasets.rename(id, to);
}

/**
 * Gives an adapter another name. Throws ALREADY_EXISTS where that is taken, or a run is making an adapter of it, and
 * FAILED_PRECONDITION where a drawing that is not over is to use it.
 */
export async function renameAdapter(connection: Connection, name: string, to: string): Promise<AdapterInfo> {
  checkAdapterName(to);
  const maker = (await connection.runs.list()).find((run) => run.name === to && !isRunOver(run));
  if (maker) {
    const what = `run ${maker.id} is making an adapter named ${to}: wait for it, cancel it, or choose another name`;
    throw new AtelierError('ALREADY_EXISTS', what);
  }
  const renamed = await connection.adapters.rename(name, to, () => connection.deletion.requireAdapterUnused(name));
  if (renamed.runId) await connection.runs.adapterRenamed(renamed.runId, to);
  const change = AdapterChange.ADAPTER_CHANGE_RENAMED;
  await tellAdapter(connection.mesh, { name: to, change, formerName: name });
  return renamed;
}
