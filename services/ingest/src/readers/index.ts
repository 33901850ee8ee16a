export { BadFile } from './bad-file';
export { DatasetReader } from './dataset-reader';
export { byName, type Found, type InputFile } from './input-file';
export type { Limits } from './limits';
export { Spool } from './spool';
