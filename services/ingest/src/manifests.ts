import { createHash } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { buckets, Manifest, promptsKey, type Dataset, type Sample } from '@atelier/contracts';
import { BlobStore } from '@atelier/store';
import type { Identity } from './model-identity';

export interface StoredManifest {
  /** Object of bucket `manifests`. */
  readonly name: string;
  readonly manifest: Manifest;
}

/** Manifests are named by what they hold: a run keeps the one it started with, and writing one twice changes nothing. */
@Injectable()
export class Manifests {
  constructor(private readonly blobs: BlobStore) {}

  async save(
    dataset: Dataset,
    samples: Sample[],
    { vaeFingerprint, textFingerprint }: Identity,
  ): Promise<StoredManifest> {
    const manifest = Manifest.create({ datasetId: dataset.id, samples, vaeFingerprint, textFingerprint });
    const bytes = Manifest.encode(manifest).finish();
    const name = `${dataset.id}.${createHash('sha256').update(bytes).digest('hex').slice(0, 16)}`;
    await this.blobs.put(buckets.blobs.manifests, name, bytes);
    return { name, manifest };
  }

  async read(name: string): Promise<Manifest> {
    return Manifest.decode(await this.blobs.get(buckets.blobs.manifests, name));
  }

  /** The data set's manifest, if it was made for this very model and text length. */
  async find(dataset: Dataset, identity: Identity): Promise<StoredManifest | undefined> {
    const name = dataset.manifest;
    if (!name || !(await this.blobs.has(buckets.blobs.manifests, name))) return undefined;
    const manifest = await this.read(name);
    return fits(manifest, identity) ? { name, manifest } : undefined;
  }
}

/** The text length is in no field of a manifest, but it is in the keys of its captions. */
function fits({ vaeFingerprint, textFingerprint, samples: [first] }: Manifest, identity: Identity): boolean {
  if (vaeFingerprint !== identity.vaeFingerprint || textFingerprint !== identity.textFingerprint) return false;
  return (
    first?.promptsKey === promptsKey({ caption: first?.caption ?? '', maxLength: identity.maxLength, textFingerprint })
  );
}
