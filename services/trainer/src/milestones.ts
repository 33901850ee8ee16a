import type { CompleteTrainOptions, IHeldOutScore } from '@atelier/contracts';
import type { Adapter, Trainer } from '@atelier/engine';
import { bestStep, type HeldRun } from '@atelier/jobs';
import { inSpan } from '@atelier/mesh';
import type { AdapterKeeping } from './adapter-keeping';
import type { AdapterOrigin } from './adapter-words';
import { checkCaptions } from './caption-check';
import type { Interruption } from './interruption';
import type { RunSamples } from './run-samples';

/** What a run does at certain steps beside training: it is scored by its held-out share, and keeps adapters by step. */
export class Milestones {
  /** Of an earlier try too, which may have come further: what is decided at a step rests on those until then. */
  private readonly scores: IHeldOutScore[];

  constructor(
    private readonly keeping: AdapterKeeping,
    private readonly held: HeldRun,
    private readonly options: CompleteTrainOptions,
    private readonly samples: RunSamples,
    private readonly origin: AdapterOrigin,
  ) {
    this.scores = [...held.run.heldOut];
  }

  /**
   * What is due at the step that the trainer has come to, and not done yet.
   * @returns false when the service is to stop: it is due again then
   */
  async reach(trainer: Trainer, { ended, stopping }: Interruption): Promise<boolean> {
    try {
      if (!(await this.checkCaptions(trainer, { ended, stopping }))) return false;
      if (!(await this.score(trainer, { ended, stopping }))) return false;
      await this.keep(trainer);
      return true;
    } catch (error) {
      if (!stopping.aborted || ended.aborted || this.held.superseded) throw error;
      return false; // the mesh may be away, and the service is to end
    }
  }

  /** Whether so many scorings as were asked for have brought nothing lower. */
  stopsEarly(step: number): boolean {
    const { patience } = this.options;
    const scores = this.until(step);
    const best = bestStep(scores);
    return patience > 0 && scores.filter((score) => (score.step ?? 0) > (best ?? 0)).length >= patience;
  }

  /** The last step is taken and its adapter is there under the run's name. */
  async finish(trainer: Trainer): Promise<void> {
    if (this.options.emaDecay > 0)
      await disposing(await trainer.average(), (average) => this.keeping.keepAverage(this.held, average, this.origin));
    await this.keeping.finish(this.held, this.options);
  }

  private checkCaptions(trainer: Trainer, interruption: Pick<Interruption, 'ended' | 'stopping'>): Promise<boolean> {
    const { captionCheck, heldOutPairs: pairs } = this.options;
    if (captionCheck === 0 || trainer.step !== captionCheck) return Promise.resolve(true);
    return checkCaptions(trainer, this.samples, pairs, interruption);
  }

  private isScored(step: number): boolean {
    const { heldOutEvery, totalSteps } = this.options;
    return this.samples.heldOut.length > 0 && (step % heldOutEvery === 0 || step === totalSteps);
  }

  private async score(trainer: Trainer, { ended, stopping }: Pick<Interruption, 'ended' | 'stopping'>) {
    const { step } = trainer;
    if (!this.isScored(step) || this.scores.some((score) => score.step === step)) return true;
    const losses: number[] = [];
    for (const index of this.samples.heldOut) {
      if (stopping.aborted) return false;
      const sample = await this.samples.heldOutSample(index);
      const scored = inSpan('score', { attributes: { 'atelier.run.step': step } }, () =>
        trainer.score(sample, this.options.heldOutPairs, { signal: ended }),
      );
      losses.push(...(await scored).map(({ loss }) => loss));
    }
    const score = { step, loss: losses.reduce((sum, loss) => sum + loss, 0) / losses.length };
    this.scores.push(score);
    await this.held.heldOut(score, this.samples.heldOut.length, bestStep(this.until(step)) === step);
    return true;
  }

  private async keep(trainer: Trainer): Promise<void> {
    const { step } = trainer;
    const { keep, adapterEvery } = this.options;
    // What is not trained yet is no adapter to keep, be its loss the lowest.
    const best = keep === 'best' ? bestStep(this.until(step).filter((score) => score.step !== 0)) : undefined;
    const due = keep === 'best' ? step > 0 && best === step : adapterEvery > 0 && step > 0 && step % adapterEvery === 0;
    if (!due) return;
    await disposing(await trainer.adapter(), (adapter) =>
      this.keeping.keep(this.held, this.options, { step, best }, adapter, this.origin),
    );
  }

  private until(step: number): IHeldOutScore[] {
    return this.scores.filter((score) => (score.step ?? 0) <= step).sort((a, b) => (a.step ?? 0) - (b.step ?? 0));
  }
}

async function disposing(adapter: Adapter, use: (adapter: Adapter) => Promise<void>): Promise<void> {
  try {
    await use(adapter);
  } finally {
    await adapter.dispose();
  }
}
