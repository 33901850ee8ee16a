import type { BaseQuant, Card, DeviceHandle, DeviceOutlook, Isa, KernelFinding } from './addon';
import { type Call, run, runNow } from './call';
import { ClipText, T5Text, Vae } from './encoders';
import { Loaded } from './loaded';
import { Transformer } from './transformer';

/** What {@link EngineOptions.device} may be. */
export const DEVICE_PATTERN = /^(auto|cpu|cuda(:\d{1,4})?(,fp8)?)$/;
/** The same for whoever wrote something else. */
export const DEVICE_FORMS = 'expected cpu, cuda, cuda:N or auto; a card also with ,fp8 behind it';

export interface EngineOptions {
  /**
   * `cpu`, `cuda` (the first card), `cuda:N`, or `auto`, the default: the first card that can be used, else the CPU. `cuda,fp8` and `cuda:N,fp8`
   * multiply NF4 weights in fp8, for speed, on cards of compute capability 8.9 and later.
   */
  device?: string;
  /** Threads to compute on, on the CPU; 0 means one a core. */
  threads?: number;
  /** The CPU's instruction set; auto takes the best this processor has. */
  isa?: Isa;
}

/** The machine that models are loaded on. It computes one thing at a time: calls wait in the order they were made. One a process is enough. */
export class Engine extends Loaded<DeviceHandle> {
  private readonly models = new Set<Loaded<object>>();

  /** @throws EngineError FAILED_PRECONDITION when the native engine is not built, UNIMPLEMENTED when the card that was asked for cannot be used */
  static async open({ device = 'auto', threads = 0, isa = 'auto' }: EngineOptions = {}): Promise<Engine> {
    return new Engine(runNow((native) => native.openDevice(device, threads, isa)));
  }

  /** The cards that CUDA sees, by number. Empty without a driver, a card, or CUDA in this build. */
  static cards(): Card[] {
    return runNow((native) => native.cudaDevices());
  }

  /** What opening `device` would give, without opening it: nothing is taken on a card. Memory that is short, it does not see. */
  static outlook(device: string): DeviceOutlook {
    return runNow((native) => native.deviceOutlook(device));
  }

  /** What a check of a card's kernels holds for: card, driver, cuBLASLt and this build. Empty where `device` is the CPU. */
  static cardIdentity(device: string): string {
    return runNow((native) => native.cardIdentity(device));
  }

  /**
   * Tries each family of the card's kernels beside the CPU's. What disagrees is not used from here on, where something
   * else does the same and agrees.
   *
   * @param options.real also at FLUX.1's sizes, which takes a card seconds
   */
  checkKernels({ real = true, ...call }: { real?: boolean } & Call = {}): Promise<KernelFinding[]> {
    return run(call, (native, options) => native.checkKernels(this.handle, real, options));
  }

  /** The same for families that an earlier check found wrong. */
  avoidKernels(families: readonly string[]): void {
    runNow((native) => native.avoidKernels(this.handle, families));
  }

  /**
   * "cpu avx2, 2 threads", "cuda: NVIDIA GeForce RTX 4090, 24 GB", with fp8 also ", fp8 products". Where `auto` took the CPU although there is a card, it also
   * says why.
   */
  get description(): string {
    return runNow((native) => native.deviceDescription(this.handle));
  }

  /** @param dir the checkpoint's `vae` folder */
  async loadVae(dir: string, call?: Call): Promise<Vae> {
    const { vae, scalingFactor, shiftFactor, weightBytes } = await run(call, (native, options) =>
      native.loadVae(this.handle, dir, options),
    );
    return this.keep(new Vae(vae, scalingFactor, shiftFactor, weightBytes));
  }

  /** @param dir the checkpoint's `text_encoder` folder */
  async loadClip(dir: string, call?: Call): Promise<ClipText> {
    const { clip, weightBytes } = await run(call, (native, options) => native.loadClip(this.handle, dir, options));
    return this.keep(new ClipText(clip, weightBytes));
  }

  /**
   * @param dir the checkpoint's `text_encoder_2` folder
   * @param memoryBudget bytes of a card that it may take; layers that do not fit are fetched for each pass of captions. 0: what is free
   */
  async loadT5(dir: string, { memoryBudget = 0, ...call }: { memoryBudget?: number } & Call = {}): Promise<T5Text> {
    const { t5, weightBytes } = await run(call, (native, options) =>
      native.loadT5(this.handle, dir, memoryBudget, options),
    );
    return this.keep(new T5Text(t5, weightBytes));
  }

  /**
   * @param dir the checkpoint's `transformer` folder
   * @param options.quant how to keep the weights
   * @param options.cacheDir where a quantised copy is kept, by fingerprint, and mapped from the next time
   */
  async loadTransformer(dir: string, options: { quant: BaseQuant; cacheDir?: string } & Call): Promise<Transformer> {
    return this.keep(
      new Transformer(
        await run(options, (native, call) =>
          native.loadTransformer(this.handle, dir, options.quant, options.cacheDir ?? '', call),
        ),
      ),
    );
  }

  /** Disposes every model loaded here, then the engine; each waits for its work in flight. */
  async close(): Promise<void> {
    await Promise.all([...this.models].map((model) => model.dispose()));
    await this.dispose();
  }

  private keep<Model extends Loaded<object>>(model: Model): Model {
    this.models.add(model);
    model.onDispose = () => this.models.delete(model);
    return model;
  }
}
