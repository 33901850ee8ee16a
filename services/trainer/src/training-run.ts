import { setTimeout as sleep } from 'node:timers/promises';
import { readTrainOptions, type CompleteTrainOptions, type ISample, type Run } from '@atelier/contracts';
import type { Models } from '@atelier/drawing';
import type { FluxTransformer, PartialTrainOptions, Sample, Shape, Trainer } from '@atelier/engine';
import type { Runs } from '@atelier/jobs';
import type { Lease } from '@atelier/lease';
import { isStoreFull, throughOutage } from '@atelier/mesh';
import type { AdapterShelf } from './adapter-shelf';
import type { DeviceMemory } from './device-memory';
import { engineOptions, shapeOf, shapesOf } from './engine-options';
import { fittingPlan } from './fitting-plan';
import type { SampleFlow } from './sample-flow';
import { StepReport } from './step-report';
import type { TrainMetrics } from './train.metrics';
import type { TrainingState, TrainingStates } from './training-states';
import type { Validation } from './validation';

/** How long a run that has its samples waits for the embeds of its validation prompts: without one it loses a picture. */
const PROMPTS_MS = 120_000;

/** What a run trains with and writes to. */
export interface Workshop {
  memory: DeviceMemory;
  runs: Runs;
  states: TrainingStates;
  shelf: AdapterShelf;
  validation: Validation;
  metrics: TrainMetrics;
  /** Called after each training state that was saved. */
  onSaved: () => Promise<void>;
  /** The state of a step could not be kept; that of `savedStep` is. */
  unsaved: (runId: string, step: number, savedStep: number, reason: string) => void;
}

/** One try of one run: from its first sample to its adapter, or to where the service was asked to stop. */
export class TrainingRun {
  private readonly options: CompleteTrainOptions;
  private readonly engineOptions: PartialTrainOptions;
  private readonly drawn: Set<string>;
  private readonly report: StepReport;
  private savedStep: number;

  /**
   * @param saved where an earlier try had come to
   * @param ended raised when the run is to end at once
   * @param stopping raised when it is to be put down where it can go on
   */
  constructor(
    private readonly workshop: Workshop,
    private readonly models: Models,
    private readonly run: Run,
    private readonly samples: readonly ISample[],
    private readonly flow: SampleFlow,
    private readonly saved: TrainingState | undefined,
    private readonly ended: AbortSignal,
    private readonly stopping: AbortSignal,
  ) {
    this.options = readTrainOptions(run.options);
    this.engineOptions = engineOptions(this.options, models.checkpoint);
    this.drawn = new Set(run.sampleImages);
    this.report = new StepReport(workshop.runs, workshop.metrics, run, this.options.totalSteps);
    this.savedStep = saved?.step ?? 0;
  }

  /** Rejects with the reason of `ended` when that was raised. */
  async train(): Promise<'finished' | 'put down'> {
    const { transformer: baseFingerprint } = await this.models.checkpoint.fingerprints();
    const either = AbortSignal.any([this.ended, this.stopping]);
    const over = new AbortController();
    const preparing = this.workshop.validation.prepare(
      this.models,
      this.options,
      AbortSignal.any([either, over.signal]),
    );
    try {
      return await this.trainOnceThere(baseFingerprint, either, preparing);
    } finally {
      over.abort();
      await preparing;
    }
  }

  private async trainOnceThere(
    baseFingerprint: string,
    either: AbortSignal,
    preparing: Promise<void>,
  ): Promise<'finished' | 'put down'> {
    // The device is taken only when training can start: not before the first sample is there. On a card a plan takes all that there is, and a run that
    // held it while it waited for samples would keep their encoders from ever making them.
    const first = await this.flow.next();
    if (this.workshop.memory.shared) {
      await this.flow.settled();
      await Promise.race([preparing, sleep(PROMPTS_MS, undefined, { signal: either, ref: false })]).catch(
        () => undefined,
      );
    }
    const transformer = await this.models.transformer(this.options.quant);
    const shapes = shapesOf(this.samples, first.shape.textTokens);
    const picture = this.pictureShape(first);
    const extra = await this.workshop.validation.extraBytes(this.models, transformer, this.options, picture);
    const { options, plan } = await fittingPlan(
      transformer,
      this.engineOptions,
      shapes,
      this.workshop.memory.capacity - extra,
      { signal: this.ended },
    );
    await this.workshop.runs.planned(this.run.id, plan);
    this.workshop.metrics.planBytes.set(plan.totalBytes);
    const lease = await this.lease(plan.totalBytes + extra, either);
    try {
      const trainer = await transformer.createTrainer(options, shapes, { signal: this.ended });
      try {
        if (this.saved) await this.goOnFrom(trainer, this.saved);
        await this.workshop.runs.training(this.run.id);
        if (!(await this.trainOn(trainer, transformer, lease, first, picture, either))) return 'put down';
        await this.publish(trainer, baseFingerprint);
        return 'finished';
      } catch (error) {
        await this.report.flush().catch(() => undefined); // cancelled or failed, the run's state says how far it came
        throw error;
      } finally {
        await trainer.dispose();
      }
    } finally {
      await throughOutage(() => lease.current.release()).catch(() => undefined); // else it expires
    }
  }

  /** @returns whether the last step was taken, and everything that belongs to it */
  private async trainOn(
    trainer: Trainer,
    transformer: FluxTransformer,
    lease: HeldLease,
    first: Sample,
    picture: Shape,
    either: AbortSignal,
  ): Promise<boolean> {
    let waiting: Sample | undefined = first;
    for (;;) {
      const complete = await this.workshop.validation.draw(
        this.models,
        transformer,
        trainer,
        { id: this.run.id, options: this.options },
        this.drawn,
        picture,
        either,
      );
      this.ended.throwIfAborted();
      const last = trainer.step >= this.options.totalSteps;
      if (this.stopping.aborted && !(last && complete)) {
        await this.save(trainer);
        await this.report.flush();
        return false;
      }
      if (last) return true;
      if (lease.current.lost.aborted && !(await this.leaseAgain(lease))) continue;
      await this.step(trainer, waiting);
      waiting = undefined;
      const every = this.options.checkpointEvery;
      const due = every > 0 && trainer.step % every === 0;
      if (due && trainer.step < this.options.totalSteps) await this.save(trainer);
    }
  }

  /** @returns false when the service is to stop: then there is still a state to save */
  private async leaseAgain(lease: HeldLease): Promise<boolean> {
    try {
      await lease.renew();
      return true;
    } catch (error) {
      if (this.stopping.aborted) return false;
      throw error;
    }
  }

  /** One optimizer step. Cancelled, it ends within one op of the engine; a stopping service lets it come to its end. */
  private async step(trainer: Trainer, first: Sample | undefined): Promise<void> {
    const started = performance.now();
    const { accumulation } = this.options;
    const waited = this.flow.waited;
    let loss = 0;
    const waiting = first ? [first] : [];
    for (let done = 0; done < accumulation;) {
      const samples = waiting.splice(0);
      while (samples.length < Math.min(trainer.memoryPlan.choice.together, accumulation - done))
        samples.push(await this.flow.next());
      for (const result of await trainer.microSteps(samples, { signal: this.ended }))
        loss += result.loss / accumulation;
      done += samples.length;
    }
    const result = await trainer.optimizerStep({ signal: this.ended });
    this.workshop.metrics.waitSeconds.inc(this.flow.waited - waited);
    await this.report.step(result, loss, (performance.now() - started) / 1000);
  }

  private async goOnFrom(trainer: Trainer, saved: TrainingState): Promise<void> {
    try {
      await trainer.loadState(saved.engine);
    } catch (error) {
      // The next try begins anew: it comes to the same adapter, only later.
      await this.workshop.states.remove(this.run.id);
      throw new Error(`the training state of run ${this.run.id} cannot be used: ${(error as Error).message}`, {
        cause: error,
      });
    }
  }

  /**
   * Nothing where no step was taken since: a first sample that waits is then asked for again. In a full store the
   * earlier state stays, and the run goes on: saving is tried again when it is due, and nothing but a stop before then
   * costs the steps in between.
   */
  private async save(trainer: Trainer): Promise<void> {
    if (trainer.step === this.savedStep) return;
    const engine = await trainer.saveState();
    try {
      const { position, skipped } = this.flow;
      await this.workshop.states.save(this.run.id, { engine, step: trainer.step, position, skipped: [...skipped] });
      this.savedStep = trainer.step;
    } catch (error) {
      if (!isStoreFull(error)) throw error;
      this.workshop.unsaved(this.run.id, trainer.step, this.savedStep, (error as Error).message);
      return;
    }
    await this.workshop.onSaved();
  }

  private async publish(trainer: Trainer, baseFingerprint: string): Promise<void> {
    await this.report.flush();
    const adapter = await trainer.adapter();
    try {
      await this.workshop.shelf.publish(this.run, adapter, baseFingerprint);
    } finally {
      await adapter.dispose();
    }
    await this.workshop.runs.finished(this.run.id, this.run.name);
  }

  /** Validation pictures have the size of the first of the data set. */
  private pictureShape(first: Sample): Shape {
    const { width, height } = this.samples[0]!;
    return shapeOf(width ?? 0, height ?? 0, first.shape.textTokens);
  }

  private async lease(bytes: number, signal: AbortSignal): Promise<HeldLease> {
    const ask = (): Promise<Lease> => this.workshop.memory.lease(bytes, `training ${this.run.name}`, signal);
    const held: HeldLease = { current: await ask(), renew: async () => void (held.current = await ask()) };
    return held;
  }
}

/** The lease in force; one that was lost while the mesh was away is asked for again before the next step. */
interface HeldLease {
  current: Lease;
  renew(): Promise<void>;
}
