export { ComputeConfig, computeSettings } from './compute-config';
export { type ComputeMemory, computeMemory } from './compute-memory';
export { ModelHost, type ModelHostOptions, type Models } from './model-host';
export { leasePriorities } from './priorities';
export { weightFileBytes } from './weight-file-bytes';
