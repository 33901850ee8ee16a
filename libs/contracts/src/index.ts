export * from './messages';
export * from './names';
export * from './data-folder';
export * from './event-subjects';
export * from './errors';
export * from './keys';
export * from './times';
export * from './train-options';
