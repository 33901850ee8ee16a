import { Injectable } from '@nestjs/common';
import { AtelierError, type AdapterInfo, type IAdapterUse } from '@atelier/contracts';
import { Adapter, type Transformer } from '@atelier/engine';
import { Mesh, throughOutage } from '@atelier/mesh';
import { AdapterStore, type Stored } from '@atelier/store';

/** A file of an adapter: a name may get another one. */
export interface AdapterVersion {
  name: string;
  /** Tells this file from every other one that had or will have the name. */
  key: string;
  weight: number;
  entry: Stored<AdapterInfo>;
}

/** Adapters by the name that people use. */
@Injectable()
export class AdapterLibrary {
  private readonly adapters: AdapterStore;

  constructor(mesh: Mesh) {
    this.adapters = new AdapterStore(mesh, { patience: throughOutage });
  }

  /** Throws NOT_FOUND for a name that nobody trained or brought in. */
  async find({ name, weight }: IAdapterUse): Promise<AdapterVersion> {
    const entry = await this.adapters.find(name ?? '');
    return { name: entry.value.name, key: `${entry.value.blob}@${entry.revision}`, weight: weight ?? 0, entry };
  }

  /** Throws when the file is damaged, does not fit the transformer or holds numbers that are not finite: the reason names the adapter. */
  async load({ name, entry }: AdapterVersion, transformer: Transformer): Promise<Adapter> {
    const bytes = await this.adapters.read(entry);
    try {
      const adapter = await Adapter.fromBytes(bytes, 'its file');
      try {
        await adapter.validate(transformer);
        return adapter;
      } catch (error) {
        await adapter.dispose();
        throw error;
      }
    } catch (error) {
      if (!(error instanceof AtelierError)) throw error;
      const remedy = 'Bring in a sound one that was trained for this checkpoint';
      throw new AtelierError(error.code, `adapter ${name} cannot be used: ${error.message}. ${remedy}`, error.details, {
        cause: error,
      });
    }
  }
}
