import type { AdapterFormatName } from '@atelier/contracts';
import type { AdapterHandle, InspectedAdapter, TransformerDims, TransformerHandle } from './addon';
import { type Call, run } from './call';
import { Loaded } from './loaded';

/** Key names of an adapter's file: of diffusers and PEFT, or of kohya's scripts and ComfyUI. */
export type AdapterFormat = AdapterFormatName;

/** Trained LoRA weights on the host, by diffusers' module path. Never changes. */
export class Adapter extends Loaded<AdapterHandle> {
  /** Reads a file with any trainer's spelling of keys; they are told apart by their names. */
  static async load(file: string, call?: Call): Promise<Adapter> {
    return new Adapter(await run(call, (native, options) => native.loadAdapter(file, options)));
  }

  /**
   * The same from a file's bytes.
   * @param label names them in errors
   */
  static async fromBytes(bytes: Uint8Array, label = 'the adapter file', call?: Call): Promise<Adapter> {
    return new Adapter(await run(call, async (native, options) => native.adapterFromBytes(bytes, label, options)));
  }

  /**
   * Judges a file's bytes as reading it does, with one module in memory at a time, and tells what it holds.
   * @param label names them in errors
   * @param dims sizes of the transformer that it must fit; null: of any
   */
  static inspect(
    bytes: Uint8Array,
    label = 'the adapter file',
    dims: TransformerDims | null = null,
    call?: Call,
  ): Promise<InspectedAdapter> {
    return run(call, (native, options) => native.inspectAdapter(bytes, label, dims, options));
  }

  /** As diffusers writes pytorch_lora_weights.safetensors, or as kohya's scripts do: fused q, k, v and an alpha for each module. */
  save(file: string, format: AdapterFormat, call?: Call): Promise<void> {
    return run(call, async (native, options) => native.saveAdapter(this.handle, file, format, options));
  }

  /**
   * The bytes of a file of that format.
   * @param metadata is written into it beside the adapter's own
   */
  toBytes(format: AdapterFormat, metadata: Record<string, string> = {}, call?: Call): Promise<Uint8Array> {
    return run(call, async (native, options) => native.adapterToBytes(this.handle, format, metadata, options));
  }

  /** Rejects unless every module exists in the transformer, fits its linear and is finite. */
  validate(transformer: Loaded<TransformerHandle>, call?: Call): Promise<void> {
    return run(call, (native, options) => native.validateAdapter(this.handle, transformer.handle, options));
  }
}
