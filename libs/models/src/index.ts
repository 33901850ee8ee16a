export { type CardProof, proofNote, proveCard } from './card-proof';
export { cardPresence } from './card-presence';
export { ComputeConfig, computeSettings } from './compute-config';
export { type ComputeMemory, computeMemory } from './compute-memory';
export { ComputingStatus } from './computing-status';
export { type Computing, computing, describedDevice, onCpuBeside } from './computing';
export { LeasedModels, type Tenant } from './leased-models';
export { ModelHost, type ModelHostOptions, type Models } from './model-host';
export { leasePriorities } from './priorities';
