import { writeFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Injectable } from '@nestjs/common';
import { AdapterInfo, AtelierError, buckets, type IAdapterUse } from '@atelier/contracts';
import { Adapter, type FluxTransformer } from '@atelier/engine';
import { Mesh, throughOutage } from '@atelier/mesh';
import { BlobStore, StateStore } from '@atelier/store';

/** A file of an adapter: a name may get another one. */
export interface AdapterVersion {
  name: string;
  blob: string;
  /** Tells this file from every other one that had or will have the name. */
  key: string;
  weight: number;
}

const NAME = /^[a-z0-9][a-z0-9_-]{0,62}$/;

/** Adapters by the name that people use. */
@Injectable()
export class AdapterLibrary {
  private readonly infos: StateStore<AdapterInfo>;

  constructor(
    mesh: Mesh,
    private readonly blobs: BlobStore,
  ) {
    this.infos = new StateStore(mesh, 'adapters', AdapterInfo);
  }

  /** Throws NOT_FOUND for a name that nobody trained or brought in. */
  async find({ name, weight }: IAdapterUse): Promise<AdapterVersion> {
    const asked = name ?? '';
    const found = NAME.test(asked) ? await throughOutage(() => this.infos.get(asked)) : null;
    if (!found) throw new AtelierError('NOT_FOUND', `there is no adapter ${JSON.stringify(asked.slice(0, 80))}: list them to see what there is`);
    return { name: asked, blob: found.value.blob, key: `${found.value.blob}@${found.revision}`, weight: weight ?? 0 };
  }

  /** Throws when the file is damaged, does not fit the transformer or holds numbers that are not finite: the reason names the adapter. */
  async load({ name, blob }: AdapterVersion, transformer: FluxTransformer): Promise<Adapter> {
    const folder = await mkdtemp(join(tmpdir(), 'atelier-adapter-'));
    const file = join(folder, `${name}.safetensors`);
    try {
      await writeFile(file, await throughOutage(() => this.blobs.get(buckets.blobs.adapters, blob)));
      const adapter = await Adapter.load(file);
      try {
        await adapter.validate(transformer);
        return adapter;
      } catch (error) {
        await adapter.dispose();
        throw error;
      }
    } catch (error) {
      if (!(error instanceof AtelierError)) throw error;
      const reason = error.message.replaceAll(file, 'its file');
      throw new AtelierError(error.code, `adapter ${name} cannot be used: ${reason}. Bring in a sound one that was trained for this checkpoint`, error.details, { cause: error });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }
}
