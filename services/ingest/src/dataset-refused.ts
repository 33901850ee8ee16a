/** The data set as a whole cannot be used, in words for the person who handed it in; trying again changes nothing. */
export class DatasetRefused extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'DatasetRefused';
  }
}
