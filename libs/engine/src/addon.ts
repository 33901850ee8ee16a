// The whole native surface, name by name, as native/addon/surface.cpp exports it. tools/check-surface.mjs compares the two.
// Nothing but the classes beside this file calls it. Every Promise is settled on the JS thread; its work ran on another one.
import type { SchedulerConfig, Tensor } from '@atelier/checkpoint';
import type {
  AdapterFormatName,
  BaseQuantName,
  CompleteTrainOptions,
  EngineTrainOption,
  OptimizerKindName,
} from '@atelier/contracts';

/** An opaque native object. The brand keeps kinds apart here, a type tag does so in the addon. */
export interface Handle<Kind extends string> {
  readonly __kind?: Kind;
}
export type DeviceHandle = Handle<'Device'>;
export type VaeHandle = Handle<'Vae'>;
export type ClipHandle = Handle<'ClipText'>;
export type T5Handle = Handle<'T5Text'>;
export type TransformerHandle = Handle<'Transformer'>;
export type TrainerHandle = Handle<'Trainer'>;
export type SamplerHandle = Handle<'Sampler'>;
export type AdapterHandle = Handle<'Adapter'>;
export type CancelFlagHandle = Handle<'CancelFlag'>;

/** What may be added to any asynchronous call. A flag serves one call. */
export interface NativeCall {
  onProgress?: (done: number, total: number, stage: string) => void;
  cancel?: CancelFlagHandle;
}

export type Isa = 'auto' | 'portable' | 'avx2' | 'avx512';
/** How base weights are kept: as stored, NF4, or NF4 with its scales quantised again. */
export type BaseQuant = BaseQuantName;
export type OptimizerKind = OptimizerKindName;

/** A card, as CUDA sees it. */
export interface Card {
  /** "NVIDIA GeForce RTX 4090, 24 GB". */
  name: string;
  /** Of memory, in all. */
  bytes: number;
  /** Of those, what every process that computes on it takes beside its models, as plans count it: the driver's. */
  contextBytes: number;
  /** The same: the engine's own. */
  workspaceBytes: number;
}

/** What opening a device would give. */
export interface DeviceOutlook {
  /** What of CUDA is in this engine: "CUDA 13.0 for 8.0, 8.9", or "no CUDA". */
  build: string;
  /** CUDA's number of the card that would be taken; -1: the CPU. */
  card: number;
  /** "cuda: NVIDIA GeForce RTX 4090, 24 GB", or "cpu". */
  description: string;
  /** Of the card's memory; 0 on the CPU. */
  bytes: number;
  /** Of a named card, why it cannot be had; of `auto`, why none is taken. Empty: it can be. */
  refusal: string;
}

/** What a family of a card's kernels came to beside the CPU's. */
export interface KernelFinding {
  /** "flash attention". */
  family: string;
  /** The largest difference over the largest value; Infinity for what is no number. */
  error: number;
  allowed: number;
  /** What does the same; empty: nothing does. */
  instead: string;
  /** Of that, where it had to be tried. */
  errorInstead: number;
  agrees: boolean;
  /** Whether it agrees, or what does the same does. */
  usable: boolean;
}

export interface TransformerDims {
  inChannels: number;
  outChannels: number;
  numLayers: number;
  numSingleLayers: number;
  heads: number;
  headDim: number;
  jointDim: number;
  pooledDim: number;
  guidance: boolean;
  axesDims: number[];
}

/** A linear of the transformer, by diffusers' module path. */
export interface LinearModule {
  path: string;
  in: number;
  out: number;
}

/** What an adapter's file holds, without its weights. */
export interface InspectedAdapter {
  modules: { path: string; rank: number; in: number; out: number; alpha: number }[];
  /** What is not applied or was assumed, a sentence for each kind. */
  notes: string[];
  metadata: Record<string, string>;
}

export interface LoadedTransformer {
  transformer: TransformerHandle;
  dims: TransformerDims;
  modules: LinearModule[];
  weightBytes: number;
}

export interface MemoryPlan {
  /** Activations and scratch of the largest program: reserved once, never grown. */
  arenaBytes: number;
  /** Frozen weights on the device. */
  weightBytes: number;
  /** LoRA weights, gradients and optimizer states. */
  stateBytes: number;
  workspaceBytes: number;
  /** A card's driver. */
  contextBytes: number;
  totalBytes: number;
  /** Page-locked memory of the host for what is parked there; not of the device and not in the total. */
  parkedBytes: number;
  choice: MemoryChoice;
  time: StepTime;
}

/** What training spends its memory on, in numbers of blocks; all zero in a sampler's plan. */
export interface MemoryChoice {
  /** Blocks of which backward has the input and makes the rest again. */
  keepInput: number;
  /** Blocks whose attention is kept too: only the first linear of the MLP is made again. */
  keepAttention: number;
  keepAll: number;
  /** Of the last two, blocks whose kept tensors wait in host memory until backward needs them. */
  parked: number;
  /** Blocks whose weights stay on the device; the others' are fetched for each use. */
  resident: number;
  /** Of the resident blocks: those whose NF4 weights are kept as the bf16 that products take. */
  widened: number;
  modulationResident: boolean;
  /** Samples of one shape that pass the blocks at once: what is fetched is fetched once for all of them. */
  together: number;
}

/** A micro-step by the rates of a card's profile: a model, never measured. All zero on the CPU. */
export interface StepTime {
  /** In each direction the longest of computing, fetching and parking. */
  totalMs: number;
  forwardMs: number;
  backwardMs: number;
  /** Of backward: what was not kept. */
  againMs: number;
  forwardFetchMs: number;
  /** With what was parked. */
  backwardFetchMs: number;
  /** In forward. */
  parkMs: number;
}

/** Packed image tokens (gridH × gridW, each 16 × 16 pixels) and T5 tokens. */
export interface Shape {
  gridH: number;
  gridW: number;
  textTokens: number;
}

/** What to train with: the options that proto/ declares, and what the machine and the checkpoint say. What is left out has its default. */
export interface TrainOptions extends Partial<Omit<Pick<CompleteTrainOptions, EngineTrainOption>, 'seed'>> {
  seed?: bigint;
  /** Bytes to plan within, MemoryPlan.totalBytes; what is spare goes into speed, and recompute is not read. 0: none. */
  memoryBudget?: number;
  /** The VAE's, FLUX.1-dev's by default as the scheduler's are. */
  vaeScaling?: number;
  vaeShift?: number;
  dynamicShifting?: boolean;
  shift?: number;
  numTrainTimesteps?: number;
}

export interface NativeSample {
  mean: Float32Array;
  logvar: Float32Array;
  shape: Shape;
  promptEmbeds: Float32Array;
  pooled: Float32Array;
  sampleId: bigint;
  eps?: Float32Array;
  noise?: Float32Array;
  timestepIndex?: number;
}

export interface MicroResult {
  /** Mean squared error, weighted; not divided by the accumulation. */
  loss: number;
  sigma: number;
  timestepIndex: number;
}

export interface StepResult {
  step: number;
  /** Before clipping. */
  gradNorm: number;
  lr: number;
}

export interface NativeRequest {
  height: number;
  width: number;
  steps: number;
  guidance: number;
  seed: bigint;
  promptEmbeds: Float32Array;
  pooled: Float32Array;
  latents?: Float32Array;
  scheduler: SchedulerConfig;
  memoryBudget: number;
  decodeBytes: number;
}

export interface ComponentReport {
  component: string;
  tensors: number;
  bytes: number;
  dtype: string;
  details: string;
}

export interface NativeAddon {
  openDevice(which: string, threads: number, isa: string): DeviceHandle;
  deviceOutlook(which: string): DeviceOutlook;
  cardIdentity(which: string): string;
  checkKernels(device: DeviceHandle, real: boolean, call?: NativeCall): Promise<KernelFinding[]>;
  avoidKernels(device: DeviceHandle, families: readonly string[]): void;
  deviceDescription(device: DeviceHandle): string;
  cudaDevices(): Card[];
  dispose(handle: Handle<string>): Promise<void>;
  createCancelFlag(): CancelFlagHandle;
  raiseCancelFlag(flag: CancelFlagHandle): void;

  loadVae(
    device: DeviceHandle,
    dir: string,
    call?: NativeCall,
  ): Promise<{ vae: VaeHandle; scalingFactor: number; shiftFactor: number; weightBytes: number }>;
  vaeEncode(
    vae: VaeHandle,
    image: Float32Array,
    height: number,
    width: number,
    call?: NativeCall,
  ): Promise<{ mean: Tensor; logvar: Tensor }>;
  vaeDecode(vae: VaeHandle, latents: Float32Array, h: number, w: number, call?: NativeCall): Promise<Tensor>;
  vaeEncodeBytes(vae: VaeHandle, height: number, width: number): number;
  vaeDecodeBytes(vae: VaeHandle, height: number, width: number): number;
  vaeDecodePacked(vae: VaeHandle, packed: Tensor, height: number, width: number, call?: NativeCall): Promise<Tensor>;
  loadClip(device: DeviceHandle, dir: string, call?: NativeCall): Promise<{ clip: ClipHandle; weightBytes: number }>;
  clipEncodeBytes(clip: ClipHandle, tokens: number): number;
  clipEncode(
    clip: ClipHandle,
    ids: Int32Array,
    call?: NativeCall,
  ): Promise<{ pooled: Tensor; lastHiddenState: Tensor }>;
  loadT5(
    device: DeviceHandle,
    dir: string,
    memoryBudget: number,
    call?: NativeCall,
  ): Promise<{ t5: T5Handle; weightBytes: number }>;
  t5EncodeBytes(t5: T5Handle, tokens: number): number;
  t5Encode(t5: T5Handle, captions: readonly Int32Array[], call?: NativeCall): Promise<Tensor[]>;

  loadTransformer(
    device: DeviceHandle,
    dir: string,
    quant: BaseQuant,
    cacheDir: string,
    call?: NativeCall,
  ): Promise<LoadedTransformer>;
  planTraining(
    transformer: TransformerHandle,
    options: TrainOptions,
    shapes: Shape[],
    call?: NativeCall,
  ): Promise<MemoryPlan>;
  planOnCard(
    dims: TransformerDims,
    quant: BaseQuant,
    options: TrainOptions,
    shapes: Shape[],
    card: string,
    call?: NativeCall,
  ): Promise<MemoryPlan>;
  cardNames(): string[];
  transformerDims(dir: string): TransformerDims;
  createTrainer(
    transformer: TransformerHandle,
    options: TrainOptions,
    shapes: Shape[],
    call?: NativeCall,
  ): Promise<{ trainer: TrainerHandle; memoryPlan: MemoryPlan }>;
  trainerMicroSteps(
    trainer: TrainerHandle,
    samples: NativeSample[],
    call?: NativeCall,
  ): Promise<{ results: MicroResult[]; arenaHighWater: number }>;
  trainerScore(trainer: TrainerHandle, sample: NativeSample, pairs: number, call?: NativeCall): Promise<MicroResult[]>;
  trainerOptimizerStep(trainer: TrainerHandle, call?: NativeCall): Promise<StepResult>;
  trainerAdapter(trainer: TrainerHandle, call?: NativeCall): Promise<AdapterHandle>;
  trainerAverage(trainer: TrainerHandle, call?: NativeCall): Promise<AdapterHandle>;
  trainerSaveState(trainer: TrainerHandle, call?: NativeCall): Promise<Uint8Array>;
  trainerLoadState(trainer: TrainerHandle, state: Uint8Array, call?: NativeCall): Promise<number>;

  createSampler(
    transformer: TransformerHandle,
    adapters: { adapter: AdapterHandle; weight: number }[],
    fused: boolean,
    call?: NativeCall,
  ): Promise<SamplerHandle>;
  samplerPlan(sampler: SamplerHandle, request: NativeRequest, call?: NativeCall): Promise<MemoryPlan>;
  samplerGenerate(sampler: SamplerHandle, request: NativeRequest, call?: NativeCall): Promise<Tensor>;

  loadAdapter(file: string, call?: NativeCall): Promise<AdapterHandle>;
  adapterFromBytes(bytes: Uint8Array, label: string, call?: NativeCall): Promise<AdapterHandle>;
  inspectAdapter(
    bytes: Uint8Array,
    label: string,
    dims: TransformerDims | null,
    call?: NativeCall,
  ): Promise<InspectedAdapter>;
  saveAdapter(adapter: AdapterHandle, file: string, format: AdapterFormatName, call?: NativeCall): Promise<void>;
  adapterToBytes(
    adapter: AdapterHandle,
    format: AdapterFormatName,
    metadata: Record<string, string>,
    call?: NativeCall,
  ): Promise<Uint8Array>;
  validateAdapter(adapter: AdapterHandle, transformer: TransformerHandle, call?: NativeCall): Promise<void>;

  inspectCheckpoint(dir: string, call?: NativeCall): Promise<ComponentReport[]>;
}
