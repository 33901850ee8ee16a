import type { AdapterContent, AdapterHandle, AdapterModule, TransformerHandle } from './addon';
import { type Call, run, runNow } from './call';
import { Loaded } from './loaded';

/** Trained LoRA weights on the host, by diffusers' module path. Never changes. */
export class Adapter extends Loaded<AdapterHandle> {
  /** Reads a file with diffusers', peft's or kohya's keys; they are told apart by their names. */
  static async load(file: string, call?: Call): Promise<Adapter> {
    return new Adapter(await run(call, (native, options) => native.loadAdapter(file, options)));
  }

  /** @throws EngineError INVALID_ARGUMENT when a module's arrays do not have its rank and sizes */
  static create(modules: Record<string, AdapterModule>, metadata: Record<string, string> = {}): Adapter {
    return new Adapter(runNow((native) => native.createAdapter(modules, metadata)));
  }

  /** Copies of all weights. */
  get modules(): Record<string, AdapterModule> {
    return this.content.modules;
  }

  get metadata(): Record<string, string> {
    return this.content.metadata;
  }

  /** As diffusers writes pytorch_lora_weights.safetensors: its keys and metadata. */
  saveDiffusers(file: string, call?: Call): Promise<void> {
    return run(call, (native, options) => native.saveAdapter(this.handle, file, 'diffusers', options));
  }

  /** As kohya's scripts and ComfyUI read it: fused q, k, v and an alpha for each module. */
  saveKohya(file: string, call?: Call): Promise<void> {
    return run(call, (native, options) => native.saveAdapter(this.handle, file, 'kohya', options));
  }

  /** Rejects unless every module exists in the transformer, fits its linear and is finite. */
  validate(transformer: Loaded<TransformerHandle>, call?: Call): Promise<void> {
    return run(call, (native, options) => native.validateAdapter(this.handle, transformer.handle, options));
  }

  private get content(): AdapterContent {
    return runNow((native) => native.adapterContent(this.handle));
  }
}
