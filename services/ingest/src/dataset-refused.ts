import { AtelierError, type Dataset } from '@atelier/contracts';
import type { ReadDataset } from '@atelier/jobs';

/** The data set as a whole cannot be used, in words for the person who handed it in; trying again changes nothing. */
export class DatasetRefused extends AtelierError {
  constructor(message: string) {
    super('FAILED_PRECONDITION', message);
    this.name = 'DatasetRefused';
  }
}

/** Not one of its files can be used; what is wrong with each is noted in its entry. */
export class NothingUsable extends DatasetRefused {
  constructor(
    message: string,
    readonly read: Omit<ReadDataset, 'manifest'>,
  ) {
    super(message);
    this.name = 'NothingUsable';
  }
}

/** Someone cancelled the data set: nothing went wrong. */
export class DatasetCancelled extends Error {
  constructor() {
    super('it was cancelled before it was read: add it again');
    this.name = 'DatasetCancelled';
  }
}

/** @throws DatasetRefused where there is none */
export function found(id: string, dataset: Dataset | undefined): Dataset {
  if (dataset) return dataset;
  throw new DatasetRefused(`there is no data set ${JSON.stringify(id)}: it was never uploaded or has been deleted`);
}
