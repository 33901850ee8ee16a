import type { Tensor } from '@atelier/checkpoint';
import type { ClipHandle, T5Handle, VaeHandle } from './addon';
import { type Call, run, runNow } from './call';
import { EngineError } from './errors';
import { Loaded } from './loaded';

/** AutoencoderKL: pictures to latents and back. */
export class Vae extends Loaded<VaeHandle> {
  /** @internal use Engine.loadVae */
  constructor(
    handle: VaeHandle,
    /** A latent for the transformer is (sample - shiftFactor) · scalingFactor. */
    readonly scalingFactor: number,
    readonly shiftFactor: number,
    /** Of the device, from the first use on. */
    readonly weightBytes: number,
  ) {
    super(handle);
  }

  /**
   * @param rgb (3, H, W), values -1..1, H and W divisible by 8
   * @returns the posterior's mean and log-variance, (16, H/8, W/8)
   */
  encode(rgb: Tensor, call?: Call): Promise<{ mean: Tensor; logvar: Tensor }> {
    return run(call, async (native, options) => {
      const [height, width] = planes(rgb, 'rgb');
      return native.vaeEncode(this.handle, rgb.data, height, width, options);
    });
  }

  /**
   * @param latents (16, h, w), already divided by scalingFactor and shifted
   * @returns (3, 8h, 8w), about -1..1, not clamped
   */
  decode(latents: Tensor, call?: Call): Promise<Tensor> {
    return run(call, async (native, options) => {
      const [h, w] = planes(latents, 'latents');
      return native.vaeDecode(this.handle, latents.data, h, w, options);
    });
  }

  /** What encoding a picture of so many pixels takes of the device beside the weights, while it lasts. */
  encodeBytes(height: number, width: number): number {
    return runNow((native) => native.vaeEncodeBytes(this.handle, height, width));
  }

  /** What decoding a picture of so many pixels takes of the device beside the weights, while it lasts. */
  decodeBytes(height: number, width: number): number {
    return runNow((native) => native.vaeDecodeBytes(this.handle, height, width));
  }

  /**
   * Decodes what a sampler gives: unpacks, unscales, shifts.
   * @param packed (H/16 · W/16, 64)
   * @returns (3, height, width), about -1..1, not clamped
   */
  decodePacked(packed: Tensor, height: number, width: number, call?: Call): Promise<Tensor> {
    return run(call, (native, options) => native.vaeDecodePacked(this.handle, packed, height, width, options));
  }
}

/** CLIP-L's text model. */
export class ClipText extends Loaded<ClipHandle> {
  /** @internal use Engine.loadClip */
  constructor(
    handle: ClipHandle,
    /** Of the device, from the first use on. */
    readonly weightBytes: number,
  ) {
    super(handle);
  }

  /** @param ids token ids, padded to 77 */
  encode(ids: Int32Array, call?: Call): Promise<{ pooled: Tensor; lastHiddenState: Tensor }> {
    return run(call, (native, options) => native.clipEncode(this.handle, ids, options));
  }

  /** What encoding a text of so many tokens takes of the device beside the weights, while it lasts. */
  encodeBytes(tokens: number): number {
    return runNow((native) => native.clipEncodeBytes(this.handle, tokens));
  }
}

/** T5 v1.1's encoder. Padding is attended to, as in FLUX.1: the same text padded to another length gives other embeddings. */
export class T5Text extends Loaded<T5Handle> {
  /** @internal use Engine.loadT5 */
  constructor(
    handle: T5Handle,
    /** Of the device, from the first use on, where all layers fit there; else the memory budget bounds it. */
    readonly weightBytes: number,
  ) {
    super(handle);
  }

  /**
   * Neighbours of one length pass together through layers that have to be fetched to a card, so that several captions take little longer than one.
   * @param captions the ids of each
   * @returns (ids, width) of each, the same whatever stands beside it; progress counts captions
   */
  encode(captions: readonly Int32Array[], call?: Call): Promise<Tensor[]> {
    return run(call, (native, options) => native.t5Encode(this.handle, captions, options));
  }

  /** What encoding captions of so many tokens takes of the device beside all layers, while it lasts. */
  encodeBytes(tokens: number): number {
    return runNow((native) => native.t5EncodeBytes(this.handle, tokens));
  }
}

/** Height and width of (channels, height, width). */
function planes({ shape, data }: Tensor, name: string): [number, number] {
  if (shape.length !== 3 || shape[0]! * shape[1]! * shape[2]! !== data.length) {
    throw new EngineError(
      'INVALID_ARGUMENT',
      `${name}: expected (channels, height, width) and as many values, got shape [${shape.join(', ')}] and ${data.length} values`,
    );
  }
  return [shape[1]!, shape[2]!];
}
