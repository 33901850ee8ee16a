// For whoever calls the addon beside the classes here: the tests, whose addon has more functions.
export type {
  AdapterHandle,
  BaseQuant,
  DeviceHandle,
  TransformerDims,
  Handle,
  LoadedTransformer,
  NativeAddon as Addon,
  NativeCall,
  TrainerHandle,
  TransformerHandle,
} from './addon';
export { run, runNow } from './call';
export { Loaded } from './loaded';
export { u64 } from './u64';
