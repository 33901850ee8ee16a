// What became of a data set's files, in the words that people see.
import { DatasetState, type Dataset } from '@atelier/contracts';

export interface DatasetUse {
  /** Pictures that were found, and of those the ones that are used (there twice or not) and left out. */
  readonly pictures: number;
  readonly used: number;
  readonly leftOut: number;
}

type Read = Pick<Dataset, 'pictures' | 'leftOut' | 'samples' | 'rejected' | 'state'>;

export function datasetUse({ pictures, leftOut, samples, rejected, state }: Read): DatasetUse {
  // An older version noted what cannot be used, but not how much of that are pictures.
  const isOld = pictures === 0 && state === DatasetState.DATASET_STATE_INGESTED;
  if (isOld) return { pictures: samples + rejected.length, used: samples, leftOut: rejected.length };
  return { pictures, used: pictures - leftOut, leftOut };
}

const counted = (count: number): string => (count === 1 ? '1 picture' : `${count} pictures`);

/** "24 of 28 pictures; 4 left out" */
export function datasetUseText(dataset: Read): string {
  const { pictures, used, leftOut } = datasetUse(dataset);
  return leftOut === 0 ? counted(pictures) : `${used} of ${counted(pictures)}; ${leftOut} left out`;
}

/** "cut.jpg (why), empty.png (why) and 2 more" */
export function leftOutText(dataset: Read, most: number): string {
  const { leftOut } = datasetUse(dataset);
  const pictures = dataset.rejected.filter(({ picture }) => picture);
  const named = pictures.slice(0, most).map(({ name, reason }) => `${name} (${reason})`);
  const more = leftOut - named.length;
  return `${named.join(', ')}${more > 0 && named.length > 0 ? ` and ${more} more` : ''}`;
}
