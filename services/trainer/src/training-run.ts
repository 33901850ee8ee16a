import { readTrainOptions, type CompleteTrainOptions } from '@atelier/contracts';
import type { Transformer, PartialTrainOptions, Sample, Shape, Trainer } from '@atelier/engine';
import type { HeldRun } from '@atelier/jobs';
import type { Lease } from '@atelier/lease';
import type { Models } from '@atelier/models';
import type { AdapterOrigin } from './adapter-words';
import { engineOptions } from './engine-options';
import { fittingPlan } from './fitting-plan';
import type { Interruption } from './interruption';
import { Milestones } from './milestones';
import type { RunSamples } from './run-samples';
import type { RunTrainingState } from './run-training-state';
import { StepReport } from './step-report';
import type { Workshop } from './workshop';

/** One try of one run: from its first sample to its adapter, or to where the service was asked to stop. */
export class TrainingRun {
  private readonly options: CompleteTrainOptions;
  private readonly engineOptions: PartialTrainOptions;
  private readonly drawn: Set<string>;
  private readonly report: StepReport;

  constructor(
    private readonly workshop: Workshop,
    private readonly models: Models,
    private readonly held: HeldRun,
    private readonly samples: RunSamples,
    private readonly state: RunTrainingState,
    private readonly interruption: Interruption,
  ) {
    const { run } = held;
    this.options = readTrainOptions(run.options);
    this.engineOptions = engineOptions(this.options, models.checkpoint);
    this.drawn = new Set(run.sampleImages);
    this.report = new StepReport(held, workshop.metrics, this.options.totalSteps);
  }

  /** Rejects with the reason of `ended` when that was raised. */
  async train(): Promise<'finished' | 'put down'> {
    const { transformer: baseFingerprint } = await this.models.checkpoint.fingerprints();
    const { ended, either } = this.interruption;
    const first = await this.samples.next(); // before the device is taken: it may be gone
    const transformer = await this.models.transformer(this.options.quant);
    const shapes = this.samples.shapes(first.shape.textTokens);
    const picture = this.samples.pictureShape(first.shape.textTokens);
    const extra = await this.workshop.validation.extraBytes(this.models, transformer, this.options, picture);
    const { options, plan } = await fittingPlan(
      transformer,
      this.engineOptions,
      shapes,
      this.workshop.memory.capacity - extra,
      { signal: ended },
    );
    await this.held.planned(plan);
    this.workshop.metrics.planBytes.set(plan.totalBytes);
    const lease = await this.lease(plan.totalBytes + extra, either);
    try {
      const trainer = await transformer.createTrainer(options, shapes, { signal: ended });
      try {
        await this.state.restore(trainer);
        await this.held.training();
        const { guidance } = transformer.dims;
        const origin = { baseFingerprint, guidance, datasetDigest: this.samples.digest };
        const milestones = new Milestones(this.workshop.keeping, this.held, this.options, this.samples, origin);
        if (!(await this.trainOn(trainer, transformer, lease, first, picture, milestones))) return 'put down';
        return await this.finish(trainer, origin, milestones);
      } catch (error) {
        await this.report.flush().catch(() => undefined); // cancelled or failed, the run's state says how far it came
        throw error;
      } finally {
        await trainer.dispose();
      }
    } finally {
      await lease.current.release().catch(() => undefined); // else it expires
    }
  }

  /** @returns whether the last step was taken, and everything that belongs to it */
  private async trainOn(
    trainer: Trainer,
    transformer: Transformer,
    lease: HeldLease,
    first: Sample,
    picture: Shape,
    milestones: Milestones,
  ): Promise<boolean> {
    const { ended, stopping, either } = this.interruption;
    let waiting: Sample | undefined = first;
    for (;;) {
      const reached = await milestones.reach(trainer, this.interruption);
      const last = trainer.step >= this.options.totalSteps || milestones.stopsEarly(trainer.step);
      const complete =
        reached &&
        (await this.workshop.validation.draw(
          this.models,
          transformer,
          trainer,
          { held: this.held, options: this.options, last },
          this.drawn,
          picture,
          either,
        ));
      ended.throwIfAborted();
      if (stopping.aborted && !(last && complete)) {
        await this.state.putDown(trainer, this.samples);
        await this.report.flush().catch(() => undefined); // the mesh may be away, and the service is to end
        return false;
      }
      if (last) return true;
      if (lease.current.lost.aborted && !(await this.leaseAgain(lease))) continue;
      const taken = await this.step(trainer, waiting);
      waiting = undefined;
      try {
        await taken.tell();
        const every = this.options.checkpointEvery;
        const due = every > 0 && trainer.step % every === 0;
        if (due && trainer.step < this.options.totalSteps) {
          await this.state.save(trainer, this.samples);
          await this.held.pictures(this.samples.pictureTable(trainer.step));
        }
      } catch (error) {
        // A service that stops has its connection closed where the mesh does not answer: what it has is put down then.
        if (!stopping.aborted || this.held.superseded) throw error;
      }
    }
  }

  /** @returns false when the service is to stop: then there is still a state to save */
  private async leaseAgain(lease: HeldLease): Promise<boolean> {
    try {
      await lease.renew();
      return true;
    } catch (error) {
      if (this.interruption.stopping.aborted) return false;
      throw error;
    }
  }

  /** One optimizer step. Cancelled, it ends within one op of the engine; a stopping service lets it come to its end. */
  private async step(trainer: Trainer, first: Sample | undefined): Promise<{ tell: () => Promise<void> }> {
    const started = performance.now();
    const { accumulation } = this.options;
    const waited = this.samples.waited;
    let loss = 0;
    const waiting = first ? [first] : [];
    for (let done = 0; done < accumulation;) {
      const samples = waiting.splice(0);
      while (samples.length < Math.min(trainer.memoryPlan.choice.together, accumulation - done))
        samples.push(await this.samples.next());
      const results = await trainer.microSteps(samples, { signal: this.interruption.ended });
      for (const [i, result] of results.entries()) {
        loss += result.loss / accumulation;
        this.samples.losses.take(Number(samples[i]!.sampleId), result);
      }
      done += samples.length;
    }
    const result = await trainer.optimizerStep({ signal: this.interruption.ended });
    const seconds = (performance.now() - started) / 1000;
    const waitedHere = this.samples.waited - waited;
    this.workshop.metrics.waitSeconds.inc(waitedHere);
    this.workshop.metrics.computeSeconds.inc(Math.max(0, seconds - waitedHere));
    return { tell: () => this.report.step(result, loss, seconds) };
  }

  /** All steps are taken. A service that stops while the mesh is away keeps the last state, for whoever publishes it. */
  private async finish(
    trainer: Trainer,
    origin: AdapterOrigin,
    milestones: Milestones,
  ): Promise<'finished' | 'put down'> {
    try {
      await this.publish(trainer, origin, milestones);
      return 'finished';
    } catch (error) {
      if (!this.interruption.stopping.aborted || this.held.superseded) throw error;
      await this.state.putDown(trainer, this.samples);
      return 'put down';
    }
  }

  private async publish(trainer: Trainer, origin: AdapterOrigin, milestones: Milestones): Promise<void> {
    await this.report.flush();
    await this.held.pictures(this.samples.pictureTable(trainer.step));
    const adapter = await trainer.adapter();
    try {
      await this.workshop.shelf.publish(this.held.run, adapter, origin, () => this.held.require());
    } finally {
      await adapter.dispose();
    }
    await milestones.finish(trainer);
    await this.held.finished(this.held.run.name, { stoppedEarly: trainer.step < this.options.totalSteps });
  }

  private async lease(bytes: number, signal: AbortSignal): Promise<HeldLease> {
    const ask = (): Promise<Lease> => this.workshop.memory.lease(bytes, `training ${this.held.run.name}`, signal);
    const held: HeldLease = { current: await ask(), renew: async () => void (held.current = await ask()) };
    return held;
  }
}

/** The lease in force; one that was lost while the mesh was away is asked for again before the next step. */
interface HeldLease {
  current: Lease;
  renew(): Promise<void>;
}
