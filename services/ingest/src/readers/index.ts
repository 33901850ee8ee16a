export { asBadFile, BadFile } from './bad-file';
export { DatasetReader } from './dataset-reader';
export { formatBytes } from './format-bytes';
export type { InHand } from './in-hand';
export { byName, type Found, type FoundPicture, type InputFile } from './input-file';
export type { Limits } from './limits';
export { Spool } from './spool';
