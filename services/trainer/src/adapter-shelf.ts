import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Injectable } from '@nestjs/common';
import { AdapterInfo, buckets, google, readTrainOptions, type Run } from '@atelier/contracts';
import { Adapter } from '@atelier/engine';
import { Mesh, throughOutage } from '@atelier/mesh';
import { BlobStore, StateStore } from '@atelier/store';

/** Where trained adapters are put: the file in blob bucket `adapters`, then its entry in KV, by the name people use. */
@Injectable()
export class AdapterShelf {
  private readonly infos: StateStore<AdapterInfo>;

  constructor(
    mesh: Mesh,
    private readonly blobs: BlobStore,
  ) {
    this.infos = new StateStore(mesh, 'adapters', AdapterInfo);
  }

  /** Takes the place of an earlier adapter of that name, whose file is removed once nothing points to it. Done twice, it leaves the same. */
  async publish(run: Run, trained: Adapter, baseFingerprint: string): Promise<void> {
    const bytes = await fileOf(trained, baseFingerprint);
    const blob = `${run.name}.${run.id}.safetensors`;
    await throughOutage(() => this.blobs.put(buckets.blobs.adapters, blob, bytes));
    const { rank, alpha } = readTrainOptions(run.options);
    const info = AdapterInfo.create({
      name: run.name,
      runId: run.id,
      blob,
      size: bytes.byteLength,
      rank,
      alpha,
      createdAt: now(),
      baseFingerprint,
    });
    const earlier = await throughOutage(() => this.infos.get(run.name));
    if (earlier) await throughOutage(() => this.infos.update(run.name, () => info));
    else await throughOutage(() => this.infos.create(run.name, info).catch((error: { code?: string }) => (error.code === 'ALREADY_EXISTS' ? this.infos.update(run.name, () => info) : Promise.reject(error as Error))));
    if (earlier && earlier.value.blob !== blob) await throughOutage(() => this.blobs.delete(buckets.blobs.adapters, earlier.value.blob));
  }
}

/** In diffusers' format. Nothing in it tells one making of the same adapter from another: the same training gives the same bytes. */
async function fileOf(trained: Adapter, baseFingerprint: string): Promise<Uint8Array> {
  const folder = await mkdtemp(join(tmpdir(), 'atelier-adapter-'));
  const described = Adapter.create(trained.modules, { ...trained.metadata, base_fingerprint: baseFingerprint });
  try {
    const file = join(folder, 'pytorch_lora_weights.safetensors');
    await described.saveDiffusers(file);
    return await readFile(file);
  } finally {
    await described.dispose();
    await rm(folder, { recursive: true, force: true });
  }
}

function now(): google.protobuf.ITimestamp {
  const milliseconds = Date.now();
  return { seconds: Math.floor(milliseconds / 1000), nanos: (milliseconds % 1000) * 1e6 };
}
