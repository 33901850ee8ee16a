import { Injectable } from '@nestjs/common';
import { readTrainOptions, type Run } from '@atelier/contracts';
import { describeAdapter, type Adapter } from '@atelier/engine';
import { Mesh, throughOutage } from '@atelier/mesh';
import { AdapterStore } from '@atelier/store';
import { adapterWords, type AdapterOrigin } from './adapter-words';

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
  async publish(
    run: Run,
    trained: Adapter,
    origin: AdapterOrigin,
    require?: () => Promise<void>,
    name = run.name,
  ): Promise<void> {
    const { rank, alpha } = readTrainOptions(run.options);
    const bytes = await trained.toBytes('diffusers', adapterWords({ rank, alpha }, origin));
    const { contents } = await describeAdapter(bytes, `the adapter of run ${run.id}`);
    const facts = {
      name,
      runId: run.id,
      rank,
      alpha,
      baseFingerprint: origin.baseFingerprint,
      contents,
    };
    await this.adapters.put(facts, bytes, { replace: true, require });
  }
}
