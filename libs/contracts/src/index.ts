export * from './messages';
export * from './names';
export * from './errors';
export * from './keys';
export * from './train-options';
export * from './enum-names';
