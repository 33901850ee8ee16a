export { ModelHost, type ModelHostOptions, type Models } from './model-host';
export { weightFileBytes } from './weight-file-bytes';
