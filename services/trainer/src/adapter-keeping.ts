import { Inject, Injectable } from '@nestjs/common';
import { adapterAt, adapterStep, AtelierError, type CompleteTrainOptions } from '@atelier/contracts';
import type { Adapter } from '@atelier/engine';
import { Deletion, type HeldRun } from '@atelier/jobs';
import { LOGGER, Mesh, throughOutage, type Logger } from '@atelier/mesh';
import { AdapterStore } from '@atelier/store';
import { AdapterShelf } from './adapter-shelf';
import type { AdapterOrigin } from './adapter-words';

/**
 * Adapters that a run keeps beside its last, as NAME@STEP. The same step of the same run is the same file, whoever
 * makes it after whatever happened; so one that is there already stays, and which are taken away again depends on the
 * step and the losses until then alone (docs/decisions/0066-adapters-by-step-have-names-of-their-own.md).
 */
@Injectable()
export class AdapterKeeping {
  private readonly adapters: AdapterStore;
  private readonly deletion: Deletion;

  constructor(
    private readonly shelf: AdapterShelf,
    mesh: Mesh,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {
    this.adapters = new AdapterStore(mesh, { patience: throughOutage });
    this.deletion = new Deletion(mesh, throughOutage);
  }

  /** @param best the step of the lowest held-out loss until now, where only that is kept */
  async keep(
    held: HeldRun,
    options: CompleteTrainOptions,
    at: { step: number; best?: number },
    adapter: Adapter,
    origin: AdapterOrigin,
  ): Promise<void> {
    const name = adapterAt(held.run.name, at.step);
    await this.shelf.publish(held.run, adapter, origin, () => held.require(), name);
    await held.kept(name, name);
    await this.prune(held, at.step, (step, newer) => {
      if (at.best !== undefined) return step === at.best;
      if (options.keep === 'last') return newer === 0;
      return options.keepMost === 0 || newer < options.keepMost;
    });
  }

  /** Its moving average, at its end. */
  async keepAverage(held: HeldRun, average: Adapter, origin: AdapterOrigin): Promise<void> {
    await this.shelf.publish(held.run, average, origin, () => held.require(), adapterAt(held.run.name, 'ema'));
  }

  /** The run has its last adapter: of the others stay those that were asked for. */
  async finish(held: HeldRun, options: CompleteTrainOptions): Promise<void> {
    if (options.keep === 'last') await this.prune(held, Infinity, () => false);
  }

  /**
   * One that is being drawn with stays until the next time, or goes with its run. Those of an earlier try, which came
   * further, are made again in their turn: until then they do not count.
   */
  private async prune(
    { id, run }: HeldRun,
    until: number,
    stays: (step: number, newer: number) => boolean,
  ): Promise<void> {
    const mine = (await this.adapters.list()).filter(({ runId, name }) => {
      return runId === id && name.startsWith(`${run.name}@`) && adapterStep(name) !== undefined;
    });
    const steps = mine
      .map(({ name }) => adapterStep(name)!)
      .filter((step) => step <= until)
      .sort((a, b) => b - a);
    for (const [newer, step] of steps.entries()) {
      if (stays(step, newer)) continue;
      try {
        await this.deletion.adapter(adapterAt(run.name, step));
      } catch (error) {
        if (!(error instanceof AtelierError) || error.code !== 'FAILED_PRECONDITION') throw error;
        this.logger.info({ runId: id, step, reason: error.message }, 'an adapter by step stays for now');
      }
    }
  }
}
