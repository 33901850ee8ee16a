export type { SchedulerConfig, Tensor } from '@atelier/checkpoint';
export { Adapter } from './adapter';
export { type AdapterFormat, adapterFromBytes, adapterToBytes } from './adapter-bytes';
export type {
  AdapterModule,
  BaseQuant,
  Card,
  ComponentReport,
  DeviceOutlook,
  FluxDims,
  ForwardInput,
  Isa,
  KernelFinding,
  LinearModule,
  MemoryChoice,
  MemoryPlan,
  MicroResult,
  Nf4Quantized,
  OptimizerKind,
  OptimizerRates,
  Shape,
  StepResult,
  StepTime,
  TrainOptions,
} from './addon';
export type { Call, Progress } from './call';
export { type CardRun, cardNames, FLUX_DEV_DIMS, planOnCard, transformerDims } from './card';
export { ClipText, T5Text, Vae } from './encoders';
export { DEVICE_FORMS, DEVICE_PATTERN, Engine, type EngineOptions } from './engine';
export { EngineError } from './errors';
export { addonPaths, missingAddon } from './load';
export {
  dequantizeNf4,
  dynamicMap,
  inferenceSigmas,
  inspectCheckpoint,
  lossWeight,
  lrSchedule,
  nf4Code,
  Optimizer,
  quantizeNf4,
} from './pieces';
export { type GenerateRequest, Sampler } from './sampler';
export { engineTrainOptionsOf, type PartialTrainOptions, type Sample, Trainer } from './trainer';
export { type AdapterUse, FluxTransformer } from './transformer';
