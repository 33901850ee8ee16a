export { ComputeConfig, computeSettings } from './compute-config';
export { type ComputeMemory, computeMemory } from './compute-memory';
export { LeasedModels, type Tenant } from './leased-models';
export { ModelHost, type ModelHostOptions, type Models } from './model-host';
export { leasePriorities } from './priorities';
