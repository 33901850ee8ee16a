export { Checkpoint, openCheckpoint, openWholeCheckpoint } from './checkpoint';
export type { FluxConfig, SchedulerConfig, VaeConfig } from './configs';
export { CheckpointError } from './errors';
export type { Fingerprints } from './fingerprint';
export { COMPONENT_NAMES, type ComponentName } from './layout';
export { pullModel, type PullOptions, type PullProgress, type PullResult } from './pull';
export {
  decodeTensors,
  encodeTensors,
  parseTensorFile,
  type StoredTensor,
  type Tensor,
  type TensorFile,
} from './tensors';
export { openTokenizers, type Tokenizers } from './tokenizers';
