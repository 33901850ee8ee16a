import { Injectable } from '@nestjs/common';
import { openCheckpoint, openWholeCheckpoint } from '@atelier/checkpoint';
import { Readiness } from '@atelier/mesh';
import { IngestConfig } from './ingest.config';

export interface Identity {
  readonly vaeFingerprint: string;
  readonly textFingerprint: string;
  /** T5 tokens a caption is padded or cut to. */
  readonly maxLength: number;
}

/** What of the model goes into content keys. The weights are hashed on first use and only when they changed. */
@Injectable()
export class ModelIdentity {
  private known?: Promise<Identity>;

  constructor(
    private readonly config: IngestConfig,
    readiness: Readiness,
  ) {
    readiness.needsFor('its checkpoint', () => openWholeCheckpoint(config.model));
  }

  get(): Promise<Identity> {
    this.known ??= this.read().catch((error: unknown) => {
      this.known = undefined; // a model that is put right is found at the next try
      throw error;
    });
    return this.known;
  }

  private async read(): Promise<Identity> {
    const checkpoint = await openCheckpoint(this.config.model);
    const { vae, text } = await checkpoint.fingerprints();
    return { vaeFingerprint: vae, textFingerprint: text, maxLength: this.config.textTokens ?? checkpoint.t5MaxLength };
  }
}
