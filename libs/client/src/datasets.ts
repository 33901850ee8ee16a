import { Readable } from 'node:stream';
import { z } from 'zod';
import { AtelierError, cropFields, Dataset, DatasetState, newestFirst, timestamp } from '@atelier/contracts';
import { isDatasetOver, untilTrue } from '@atelier/jobs';
import type { Connection } from './connection';
import { NAME_PATTERN, NAME_RULE, isKey, newId, type Repeatable } from './names';
import { invalidArgument } from './options';
import { storeFiles, type UploadFile, type UploadProgress } from './uploads';

const side = (what: string) =>
  z
    .int()
    .min(16)
    .max(4096)
    .refine((value) => value % 16 === 0, `${what} must be a multiple of 16`);

export const datasetSchema = z.strictObject({
  name: z.string().regex(NAME_PATTERN, `use ${NAME_RULE}`).describe('Name of the data set.'),
  trigger: z
    .string()
    .max(4096)
    .default('')
    .describe(
      'Phrase in front of captions that do not hold it, as whole words, and the caption of pictures without one.',
    ),
  width: side('width').default(512).describe('Width pictures are cropped and resized to.'),
  height: side('height').default(512).describe('Height pictures are cropped and resized to.'),
  buckets: z
    .boolean()
    .default(false)
    .describe('Keep each picture near its own aspect ratio, at the area of width × height.'),
  flip: z.boolean().default(false).describe('Mirror pictures left to right.'),
  caption_column: z
    .string()
    .max(200)
    .default('')
    .describe(
      'Column of a parquet file or table, or field of .json files, that holds the captions, where it has a name of its own.',
    ),
});

export type DatasetInput = z.input<typeof datasetSchema>;

export interface DatasetRequest extends DatasetInput {
  files: AsyncIterable<UploadFile> | Iterable<UploadFile>;
  /**
   * How much is about to come, where that is known: what the store has no room for is refused before any of it is sent.
   */
  bytes?: number;
}

/** Checks everything that can be known before the first byte of a file is taken. */
export function checkDataset(input: unknown): z.output<typeof datasetSchema> {
  const parsed = datasetSchema.safeParse(input);
  if (!parsed.success) throw invalidArgument('data set', parsed.error);
  return parsed.data;
}

/**
 * Stores the files, then the data set, then the work; it resolves only when all three are on disk. Throws StoreFull.
 * @param once of a request that may be asked once more: what an earlier try has stored is written over
 */
export async function createDataset(
  connection: Connection,
  { files, bytes = 0, ...input }: DatasetRequest,
  onProgress?: (progress: UploadProgress) => void,
  once?: Repeatable,
): Promise<Dataset> {
  const { name, trigger, caption_column: captionColumn, ...transform } = checkDataset(input);
  heedErrors(files);
  const made = once && (await connection.datasets.find(once.id));
  if (made) {
    for await (const { data } of files) if (data instanceof Readable) for await (const _ of data); // the body's end
    await connection.datasets.queueAgain(made);
    return made;
  }
  await connection.mesh.room.require(bytes, 'new work');
  const id = once?.id ?? newId('dataset');
  const stored = await storeFiles(connection, `uploads/${id}`, files, onProgress);
  if (stored.length === 0)
    throw new AtelierError(
      'INVALID_ARGUMENT',
      `data set ${name} has no files: choose pictures, a .zip, a .tar or a .parquet`,
    );
  const dataset = Dataset.create({
    id,
    name,
    trigger,
    captionColumn,
    transform: { ...transform, ...cropFields('center') },
    files: stored,
    state: DatasetState.DATASET_STATE_UPLOADED,
    createdAt: timestamp(),
  });
  await connection.datasets.queue(dataset);
  return dataset;
}

/** A stream that fails while the store is asked for room fails the data set when its turn comes, and not the process. */
function heedErrors(files: DatasetRequest['files']): void {
  if (!Array.isArray(files)) return;
  for (const { data } of files as UploadFile[]) if (data instanceof Readable) data.on('error', () => undefined);
}

/** One data set by its id, or the newest by its name. */
export async function findDataset({ datasets }: Connection, key: string): Promise<Dataset> {
  const byId = isKey(key) ? await datasets.find(key) : undefined;
  const found = byId ?? newestFirst(await datasets.list()).find((dataset) => dataset.name === key);
  if (!found)
    throw new AtelierError(
      'NOT_FOUND',
      `there is no data set ${JSON.stringify(key.slice(0, 80))}: list them to see what there is`,
    );
  return found;
}

/** The data set when nobody reads it any more: read, failed or cancelled. Undefined where the signal came first. */
export async function readDataset(
  connection: Connection,
  id: string,
  signal: AbortSignal,
): Promise<Dataset | undefined> {
  const { datasets } = connection;
  const over = await untilTrue(datasets.states(id, signal), isDatasetOver);
  return over ? datasets.find(id) : undefined;
}

export async function listDatasets({ datasets }: Connection): Promise<Dataset[]> {
  return newestFirst(await datasets.list());
}

/**
 * Ends a data set that is not read yet: what reads it stops within a second, and runs that wait for it fail. One that
 * is over stays as it is. It is cancelled when this resolves, whether or not a service is there to hear of it.
 */
export async function cancelDataset(connection: Connection, key: string): Promise<Dataset> {
  const { id } = await findDataset(connection, key);
  return connection.datasets.cancel(id);
}
