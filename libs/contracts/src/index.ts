export * from './messages';
export * from './names';
export * from './data-folder';
export * from './errors';
export * from './keys';
export * from './train-options';
