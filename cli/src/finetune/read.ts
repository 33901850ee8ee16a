import { createInterface } from 'node:readline/promises';
import type { AtelierClient } from '@atelier/client';
import { AtelierError, DatasetState, type Dataset } from '@atelier/contracts';
import { datasetStatus, datasetUse, isDatasetOver } from '@atelier/jobs';
import type { Context } from '../context';
import type { Output } from '../output';
import type { Unreadable } from './files';

/** How many files and words are listed; "datasets show" has them all. */
const MOST_LISTED = 5;
/** Of the pictures: when more is left out, a person is asked. */
const MUCH = 1 / 5;

/** What stayed on this machine counts as left out as well: the person meant it to be trained on. */
export interface ReadPictures {
  pictures: number;
  used: number;
  leftOut: { name: string; reason: string }[];
  leftOutCount: number;
}

/**
 * Waits until the data set has been read. Ctrl-C cancels it.
 * @throws AtelierError where nothing in it can be used
 */
export async function untilRead(
  { out, interrupt }: Context,
  client: AtelierClient,
  dataset: Dataset,
): Promise<Dataset> {
  if (!isDatasetOver(dataset) && !out.json) out.note('reading    what is in the files');
  const read = isDatasetOver(dataset) ? dataset : await client.readDataset(dataset.id, interrupt.signal);
  if (!read && interrupt.signal.aborted) {
    await client.cancelDataset(dataset.id);
    throw new AtelierError('CANCELLED', `data set ${dataset.id} (${dataset.name}) was cancelled`);
  }
  const state = read?.state;
  if (read && state === DatasetState.DATASET_STATE_INGESTED) return read;
  if (read) tellFiles(out, read, []);
  const status = read ? datasetStatus(read.state) : 'deleted';
  const why = read?.error ? `: ${read.error}` : '';
  throw new AtelierError('FAILED_PRECONDITION', `data set ${dataset.id} (${dataset.name}) ${status}${why}`);
}

/** Says how many pictures are used and which are not, for people and for scripts. */
export function tellRead(out: Output, dataset: Dataset, local: readonly Unreadable[] = []): ReadPictures {
  const result = readPictures(dataset, local);
  const { pictures, used, leftOut, leftOutCount } = result;
  out.object({
    type: 'read',
    dataset: dataset.id,
    name: dataset.name,
    pictures,
    used,
    duplicates: dataset.duplicates,
    samples: dataset.samples,
    left_out: leftOut,
    notes: dataset.notes.map(({ name, text }) => ({ name, text })),
  });
  if (out.json) return result;
  const twice = dataset.duplicates > 0 ? `, ${dataset.duplicates} of them there twice` : '';
  const named = leftOut.slice(0, MOST_LISTED).map(({ name, reason }) => `${name} (${reason})`);
  const more = leftOutCount - named.length;
  const which = `${named.join(', ')}${more > 0 ? `${named.length > 0 ? ' and ' : ''}${more} more` : ''}`;
  const what = pictures === 1 ? 'picture' : 'pictures';
  out.note(
    leftOutCount === 0
      ? `pictures   ${pictures} ${what}${twice}`
      : `pictures   ${used} of ${pictures} ${what}${twice}; ${leftOutCount} left out: ${which}`,
  );
  tellFiles(out, dataset, local);
  return result;
}

/** What else of the files is not used, and what was made of those that are. */
function tellFiles(out: Output, dataset: Dataset, local: readonly Unreadable[]): void {
  if (out.json) return;
  const others = [...local, ...dataset.rejected].filter(({ picture }) => !picture);
  const lines = [
    ...others.map(({ name, reason }) => `not used   ${name} ${reason}`),
    ...dataset.notes.map(({ name, text }) => `note       ${name ? `${name} ` : ''}${text}`),
  ];
  for (const line of lines.slice(0, MOST_LISTED * 2)) out.note(line);
  const more = lines.length - MOST_LISTED * 2;
  if (more > 0) out.note(`           and ${more} more: atelier datasets show ${dataset.id}`);
}

export function readPictures(dataset: Dataset, local: readonly Unreadable[]): ReadPictures {
  const { pictures, used, leftOut } = datasetUse(dataset);
  const here = local.filter(({ picture }) => picture);
  const listed = [...here, ...dataset.rejected.filter(({ picture }) => picture)];
  return {
    pictures: pictures + here.length,
    used,
    leftOut: listed.map(({ name, reason }) => ({ name: name ?? '', reason: reason ?? '' })),
    leftOutCount: leftOut + here.length,
  };
}

/**
 * Whether to train on what is left: asked on a terminal where much is left out, and said elsewhere.
 * @throws AtelierError where the person says no, or asked for a failure
 */
export async function agreeToLeaveOut(
  { out, interrupt }: Context,
  read: ReadPictures,
  onBadSample: string,
): Promise<void> {
  const { pictures, used, leftOutCount, leftOut } = read;
  if (leftOutCount === 0) return;
  const [first] = leftOut;
  if (onBadSample === 'fail') {
    const named = first ? `, the first of them ${first.name}: ${first.reason}` : '';
    throw new AtelierError(
      'FAILED_PRECONDITION',
      `${leftOutCount} of ${pictures} pictures cannot be used${named}. Nothing was trained, as --on-bad-sample fail asks; mend them, or leave it out`,
    );
  }
  if (leftOutCount <= pictures * MUCH) return;
  if (out.json || !process.stdin.isTTY || !process.stderr.isTTY) {
    out.note(`warning    more than a fifth of the pictures is left out; --on-bad-sample fail would end here`);
    return;
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const question = `Train on the ${used} that can be used? [y/N] `;
    const answer = await terminal.question(question, { signal: interrupt.signal }).catch(() => '');
    if (/^\s*y(es)?\s*$/i.test(answer)) return;
  } finally {
    terminal.close();
  }
  throw new AtelierError('CANCELLED', 'nothing was trained; the data set is kept');
}
