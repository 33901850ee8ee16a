import type { Tensor } from '@atelier/checkpoint';
import type { PictureFormatName } from '@atelier/contracts';
import type { Sampler, Vae } from '@atelier/engine';
import sharp from 'sharp';
import type { SchedulerConfig } from '@atelier/checkpoint';
import type { PromptEmbeds } from './prompt-embeds';

export type PictureFormat = PictureFormatName;

/** (3, H, W) of about -1..1 → 8-bit RGB, as diffusers' VaeImageProcessor rounds. */
export function toPixels({ shape, data }: Tensor): { pixels: Uint8Array; width: number; height: number } {
  const [, height, width] = shape as [number, number, number];
  const plane = height * width;
  const pixels = new Uint8Array(plane * 3);
  for (let i = 0; i < plane; i++) {
    for (let c = 0; c < 3; c++)
      pixels[i * 3 + c] = Math.round(Math.min(1, Math.max(0, data[c * plane + i]! / 2 + 0.5)) * 255);
  }
  return { pixels, width, height };
}

export async function encodePicture(image: Tensor, format: PictureFormat): Promise<Buffer> {
  const { pixels, width, height } = toPixels(image);
  const raw = sharp(pixels, { raw: { width, height, channels: 3 } });
  switch (format) {
    case 'png':
      return raw.png().toBuffer();
    case 'jpeg':
      return raw.jpeg({ quality: 95, chromaSubsampling: '4:4:4' }).toBuffer();
    case 'webp':
      return raw.webp({ quality: 95 }).toBuffer();
    default: {
      const unknown: never = format;
      throw new Error(`unknown picture format ${String(unknown)}`);
    }
  }
}

export interface PictureRequest {
  width: number;
  height: number;
  steps: number;
  guidance: number;
  seed: number | bigint;
  prompt: PromptEmbeds;
  scheduler: SchedulerConfig;
  /** Of a card, for the sampler; default: what is free. */
  memoryBudget?: number;
  onStep?: (step: number) => void;
  signal?: AbortSignal;
}

/** Sampler, then VAE: (3, height, width). */
export async function drawPicture(
  sampler: Sampler,
  vae: Vae,
  { onStep, signal, prompt, ...request }: PictureRequest,
): Promise<Tensor> {
  const decodeBytes = vae.decodeBytes(request.height, request.width);
  const packed = await sampler.generate(
    { ...request, ...prompt, decodeBytes },
    { signal, onProgress: ({ done }) => onStep?.(done) },
  );
  return vae.decodePacked(packed, request.height, request.width, { signal });
}
