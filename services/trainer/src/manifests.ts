import { Injectable } from '@nestjs/common';
import type { Checkpoint } from '@atelier/checkpoint';
import { AtelierError, buckets, Manifest } from '@atelier/contracts';
import { BlobStore } from '@atelier/store';
import { TrainerConfig } from './trainer.config';

/** What data sets were read into: the samples of a run. */
@Injectable()
export class Manifests {
  constructor(
    private readonly config: TrainerConfig,
    private readonly blobs: BlobStore,
  ) {}

  /** Throws FAILED_PRECONDITION for one that the checkpoint's encoders did not make, or that lists no sample. */
  async read(name: string, checkpoint: Checkpoint): Promise<Manifest> {
    if (!name)
      throw new AtelierError(
        'FAILED_PRECONDITION',
        'the run has no manifest: its data set was not read; start it again',
      );
    const manifest = Manifest.decode(await this.blobs.get(buckets.blobs.manifests, name));
    if (manifest.samples.length === 0)
      throw new AtelierError(
        'FAILED_PRECONDITION',
        `manifest ${name} lists no sample: upload a data set with pictures`,
      );
    const { vae, text } = await checkpoint.fingerprints();
    const other = (what: string): AtelierError =>
      new AtelierError(
        'FAILED_PRECONDITION',
        `the data set was encoded with another ${what} than that of ${this.config.model}: give all services the same ATELIER_MODEL and start the run again`,
      );
    if (manifest.vaeFingerprint && manifest.vaeFingerprint !== vae) throw other('VAE');
    if (manifest.textFingerprint && manifest.textFingerprint !== text) throw other('pair of text encoders');
    return manifest;
  }
}
