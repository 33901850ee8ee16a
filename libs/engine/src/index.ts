export type { SchedulerConfig, Tensor } from '@atelier/checkpoint';
export { Adapter, type AdapterFormat } from './adapter';
export { describeAdapter, type AdapterDescription } from './adapter-description';
export type {
  BaseQuant,
  Card,
  ComponentReport,
  DeviceOutlook,
  InspectedAdapter,
  Isa,
  KernelFinding,
  LinearModule,
  MemoryChoice,
  MemoryPlan,
  MicroResult,
  OptimizerKind,
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
export { inspectCheckpoint } from './inspect';
export { addonPaths, missingAddon } from './load';
export { type GenerateRequest, Sampler } from './sampler';
export { engineTrainOptionsOf, type PartialTrainOptions, type Sample, Trainer } from './trainer';
export { type AdapterUse, Transformer } from './transformer';
/** @internal what it takes to call another addon's functions as these classes call theirs: for tests. */
export * as native from './native';
