import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import type { Fingerprints, Tensor } from '@atelier/checkpoint';
import { AtelierError } from '@atelier/contracts';
import { BatchLease } from '@atelier/lease';
import { LOGGER, Mesh, type Logger } from '@atelier/mesh';
import { leasePriorities, ModelHost, weightFileBytes } from '@atelier/models';
import { LatentsConfig } from './latents.config';

/** The encoder's plan is 3 matrices of its first level's channels (128 in FLUX.1) at the picture's size, of float32, on a card of bf16; and a quarter more. */
const WORKING_BYTES_PER_PIXEL = 4 * 128 * 4;
/** What a card's driver and the engine's workspace take, as in the engine's plans. */
const CARD_BYTES = 550e6;

export interface Posterior {
  /** (16, H/8, W/8). */
  readonly mean: Tensor;
  /** (16, H/8, W/8), clamped to -30..20 as diffusers does. */
  readonly logvar: Tensor;
}

/** The VAE's encoder: loaded when first used, within a lease where the device's memory is counted, let go when idle or when someone more urgent waits. */
@Injectable()
export class PictureEncoder implements OnApplicationShutdown {
  private readonly host: ModelHost;
  private readonly lease?: BatchLease;
  private readonly card: boolean;
  /** Of what is loaded: asked for again when it has been let go, since the files may be others by then. */
  private known?: Promise<Fingerprints>;

  constructor(mesh: Mesh, config: LatentsConfig, @Inject(LOGGER) logger: Logger) {
    const { model, compute, threads, idleMs, device, deviceBytes } = config;
    this.card = config.card;
    this.host = new ModelHost({
      model,
      compute,
      threads,
      idleMs,
      onOpened: (computing) => logger.info({ computing }, 'device'),
      onFreed: () => this.freed(),
    });
    if (!config.deviceShared) return;
    this.lease = new BatchLease(
      mesh,
      { device, capacity: deviceBytes, owner: 'latents', priority: leasePriorities.encoding },
      () => void this.host.release(),
    );
  }

  /** Of the VAE in effect, as it stands in latents keys. */
  async fingerprint(): Promise<string> {
    this.known ??= this.host
      .checkpoint()
      .then((checkpoint) => checkpoint.fingerprints())
      .catch((error: unknown) => {
        this.known = undefined;
        throw error;
      });
    return (await this.known).vae;
  }

  /** @param rgb (3, H, W), -1..1. One picture at a time. */
  async encode(rgb: Tensor, signal?: AbortSignal): Promise<Posterior> {
    const [, height, width] = rgb.shape as [number, number, number];
    const bytes = this.lease ? await this.bytesFor(width * height) : 0;
    if (this.lease && !this.lease.covers(bytes)) await this.host.release();
    const posterior = await this.host.use(async (models) => {
      await this.lease?.cover(bytes, signal);
      return (await models.vae()).encode(rgb);
    });
    if (this.lease?.unwelcome) await this.host.release();
    for (const [name, { data }] of Object.entries(posterior)) {
      if (!data.every(Number.isFinite))
        throw new AtelierError(
          'DATA_LOSS',
          `the VAE gives a ${name} that is not finite: its weights are damaged, download the checkpoint again`,
        );
    }
    return posterior;
  }

  async onApplicationShutdown(): Promise<void> {
    await this.host.release();
  }

  private async freed(): Promise<void> {
    this.known = undefined;
    await this.lease?.release();
  }

  private async bytesFor(pixels: number): Promise<number> {
    const checkpoint = await this.host.checkpoint();
    const weights = await weightFileBytes(checkpoint, 'vae');
    return (
      weights + (this.card ? CARD_BYTES + (WORKING_BYTES_PER_PIXEL / 2) * pixels : WORKING_BYTES_PER_PIXEL * pixels)
    );
  }
}
