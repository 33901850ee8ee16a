import { Injectable } from '@nestjs/common';
import { readTrainOptions, type Run } from '@atelier/contracts';
import type { Adapter } from '@atelier/engine';
import { Mesh, throughOutage } from '@atelier/mesh';
import { AdapterStore } from '@atelier/store';

/** Where trained adapters are put, under the name that their run was given. */
@Injectable()
export class AdapterShelf {
  private readonly adapters: AdapterStore;

  constructor(mesh: Mesh) {
    this.adapters = new AdapterStore(mesh, { patience: throughOutage });
  }

  /**
   * Takes the place of an earlier adapter of that name. Done twice, it leaves the same.
   * @param require throws where another has taken the run by now
   */
  async publish(run: Run, trained: Adapter, baseFingerprint: string, require?: () => Promise<void>): Promise<void> {
    // Nothing in the file tells one making of the same adapter from another: the same training gives the same bytes.
    const bytes = await trained.toBytes('diffusers', { base_fingerprint: baseFingerprint });
    const { rank, alpha } = readTrainOptions(run.options);
    const facts = {
      name: run.name,
      runId: run.id,
      rank,
      alpha,
      baseFingerprint,
    };
    await this.adapters.put(facts, bytes, { replace: true, require });
  }
}
