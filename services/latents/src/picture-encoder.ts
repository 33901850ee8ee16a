import { Injectable } from '@nestjs/common';
import type { Tensor } from '@atelier/checkpoint';
import { AtelierError } from '@atelier/contracts';
import { inSpan } from '@atelier/mesh';
import { LeasedModels, type Models } from '@atelier/models';
import { LatentsConfig } from './latents.config';

export interface Posterior {
  /** (16, H/8, W/8). */
  readonly mean: Tensor;
  /** (16, H/8, W/8), clamped to -30..20 as diffusers does. */
  readonly logvar: Tensor;
}

/** The VAE's encoder, within the memory that the engine says a picture takes. */
@Injectable()
export class PictureEncoder {
  constructor(
    private readonly config: LatentsConfig,
    private readonly models: LeasedModels,
  ) {}

  /** Of the VAE in effect, as it stands in latents keys. */
  async fingerprint(): Promise<string> {
    return (await this.models.fingerprints()).vae;
  }

  /** @param rgb (3, H, W), -1..1. One picture at a time. */
  async encode(rgb: Tensor, signal?: AbortSignal): Promise<Posterior> {
    const [, height, width] = rgb.shape as [number, number, number];
    const need = async (models: Models) => {
      const vae = await models.vae();
      return { vae, bytes: this.config.baseBytes + vae.weightBytes + vae.encodeBytes(height, width) };
    };
    const attributes = { 'atelier.picture.width': width, 'atelier.picture.height': height };
    const encode = ({ vae }: Awaited<ReturnType<typeof need>>) =>
      inSpan('encode picture', { attributes }, () => vae.encode(rgb));
    const posterior = await this.models.use(need, encode, signal);
    for (const [name, { data }] of Object.entries(posterior)) {
      if (!data.every(Number.isFinite))
        throw new AtelierError(
          'DATA_LOSS',
          `the VAE gives a ${name} that is not finite: its weights are damaged, download the checkpoint again`,
        );
    }
    return posterior;
  }
}
