import { AtelierError, type Dataset } from '@atelier/contracts';

/** The data set as a whole cannot be used, in words for the person who handed it in; trying again changes nothing. */
export class DatasetRefused extends AtelierError {
  constructor(message: string) {
    super('FAILED_PRECONDITION', message);
    this.name = 'DatasetRefused';
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
