import { Inject, Injectable } from '@nestjs/common';
import {
  AtelierError,
  buckets,
  Manifest,
  readTrainOptions,
  RunState,
  type CompleteTrainOptions,
  type IMemoryPlan,
  type PlanRequest,
  type Run,
  type TrainWork,
} from '@atelier/contracts';
import { ModelHost, type Models } from '@atelier/drawing';
import { LOGGER, Mesh, ServiceStatus, throughOutage, type Logger, type WorkContext } from '@atelier/mesh';
import { BlobStore, TensorArrivals } from '@atelier/store';
import { AdapterShelf } from './adapter-shelf';
import { DeviceMemory } from './device-memory';
import { engineOptions, shapeOf } from './engine-options';
import { fittingPlan } from './fitting-plan';
import { isOver, RunStates } from './run-states';
import { SampleFlow } from './sample-flow';
import { SampleOrder } from './sample-order';
import { SampleSource } from './sample-source';
import { TrainMetrics } from './train.metrics';
import { TrainerConfig } from './trainer.config';
import { TrainingRun } from './training-run';
import { TrainingStates, type TrainingState } from './training-states';
import { Validation } from './validation';

/** Clocks of the machine that noted the run and of the one that keeps the events may differ by this much. */
const CLOCK_SKEW_MS = 5000;

type TrainContext = Pick<WorkContext, 'attempt' | 'progress' | 'signal'>;

/** Cached tensors in, an adapter out. */
@Injectable()
export class TrainerService {
  constructor(
    private readonly config: TrainerConfig,
    private readonly mesh: Mesh,
    private readonly models: ModelHost,
    private readonly blobs: BlobStore,
    private readonly memory: DeviceMemory,
    private readonly runs: RunStates,
    private readonly states: TrainingStates,
    private readonly shelf: AdapterShelf,
    private readonly validation: Validation,
    private readonly metrics: TrainMetrics,
    private readonly status: ServiceStatus,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /**
   * Trains a run to its end, from where an earlier attempt had come to. Delivered twice, also at once, it comes to the
   * same adapter.
   * @param context its signal is raised when the service is to stop: the run is then put down at the next step
   * @returns 'over' when the run has ended, however; errors are for the caller to judge
   */
  async train(work: Pick<TrainWork, 'runId' | 'manifest'>, context: TrainContext): Promise<'over' | 'put down'> {
    const run = await this.runs.get(work.runId);
    if (isOver(run)) await this.runs.tellState(run);
    else if ((await this.attempt(run, work.manifest || run.manifest, context)) === 'put down') return 'put down';
    // What a run that failed had come to is kept: hours of work, which its reason may have nothing to do with.
    const { state } = await this.runs.get(run.id);
    if (state !== RunState.RUN_STATE_FAILED) await this.states.remove(run.id);
    return 'over';
  }

  /**
   * Ends a run that cannot be trained, with the reason. A run that is over already, or that does not exist, is left
   * alone. Its training state is kept.
   */
  async giveUp(runId: string, reason: string): Promise<void> {
    const run = await this.runs.find(runId);
    if (run && !isOver(run)) await this.runs.failed(runId, reason);
  }

  /** Memory of a run on this device, to the byte, before it starts. */
  async plan({
    options,
    width,
    height,
    textTokens,
  }: Pick<PlanRequest, 'width' | 'height' | 'textTokens' | 'options'>): Promise<IMemoryPlan> {
    return this.models.use(async (models) => {
      const complete = readTrainOptions(options);
      const engine = engineOptions(complete, models.checkpoint);
      const shape = shapeOf(width, height, textTokens);
      const transformer = await models.transformer(complete.quant);
      const extra = await this.validation.extraBytes(models, transformer, complete, shape);
      return (await fittingPlan(transformer, engine, [shape], this.memory.capacity - extra)).plan;
    });
  }

  private async attempt(run: Run, manifest: string, context: TrainContext): Promise<'over' | 'put down'> {
    await this.runs.taken(run.id, context.attempt);
    const watch = this.runs.watch(run.id);
    try {
      const ending = await this.models.use((models) => this.run(models, run, manifest, watch.met, context));
      if (ending === 'finished') return 'over';
    } catch (error) {
      if (watch.met.aborted) {
        await this.runs.cancelled(run.id);
        return 'over';
      }
      if (!context.signal.aborted) throw error;
    } finally {
      this.status.detail = '';
      await watch.close();
    }
    await this.runs.preempted(run.id);
    return 'put down';
  }

  private async run(
    models: Models,
    run: Run,
    manifestName: string,
    ended: AbortSignal,
    context: TrainContext,
  ): Promise<'finished' | 'put down'> {
    ended.throwIfAborted();
    const asked = { id: run.id, options: readTrainOptions(run.options) };
    const manifest = await this.manifest(manifestName, models);
    const saved = await this.states.load(run.id);
    const arrivals = new TensorArrivals(this.mesh, since(run));
    const flow = this.flow(asked, manifest, arrivals, saved, ended, context.signal);
    this.status.detail = `${saved ? `goes on with ${run.name} at step ${saved.step}` : `trains ${run.name}`} (run ${run.id})`;
    this.logger.info(
      { runId: run.id, name: run.name, samples: manifest.samples.length, step: saved?.step ?? 0 },
      'training',
    );
    try {
      const { memory, runs, states, shelf, validation, metrics, unsaved } = this;
      const onSaved = async (): Promise<void> => {
        await context.progress();
        await runs.stateSaved(run.id);
      };
      const workshop = { memory, runs, states, shelf, validation, metrics, unsaved, onSaved };
      return await new TrainingRun(workshop, models, run, manifest.samples, flow, saved, ended, context.signal).train();
    } finally {
      await flow.close();
      await arrivals.close();
    }
  }

  private readonly unsaved = (runId: string, step: number, savedStep: number, reason: string): void =>
    this.logger.warn(
      { runId, step, savedStep, reason },
      'the training state is not saved: the run trains on, and would go on from the one before',
    );

  private flow(
    { id, options }: { id: string; options: CompleteTrainOptions },
    { samples }: Manifest,
    arrivals: TensorArrivals,
    saved: TrainingState | undefined,
    ended: AbortSignal,
    stopping: AbortSignal,
  ): SampleFlow {
    const source = new SampleSource(samples, arrivals);
    return new SampleFlow({
      order: new SampleOrder(samples.length, options.seed),
      fetch: (index, signal) => source.get(index, signal),
      settled: (index, signal) => source.settled(index, signal),
      depth: this.config.prefetch,
      position: saved?.position,
      skipped: saved?.skipped,
      onBadSample: options.onBadSample,
      onSkip: async (skipped, reason) => {
        this.logger.warn({ runId: id, reason }, 'a sample is left out');
        this.metrics.skipped.inc();
        await this.runs.skipped(id, skipped);
      },
      ended,
      stopping,
    });
  }

  private async manifest(name: string, { checkpoint }: Models): Promise<Manifest> {
    if (!name)
      throw new AtelierError(
        'FAILED_PRECONDITION',
        'the run has no manifest: its data set was not read; start it again',
      );
    const manifest = Manifest.decode(await throughOutage(() => this.blobs.get(buckets.blobs.manifests, name)));
    if (manifest.samples.length === 0)
      throw new AtelierError(
        'FAILED_PRECONDITION',
        `manifest ${name} lists no sample: upload a data set with pictures`,
      );
    const { vae, text } = await checkpoint.fingerprints();
    const other = (what: string): AtelierError =>
      new AtelierError(
        'FAILED_PRECONDITION',
        `the data set was encoded with another ${what} than that of ${this.config.model}: give all services the same ATELIER_MODEL and start the run again`,
      );
    if (manifest.vaeFingerprint && manifest.vaeFingerprint !== vae) throw other('VAE');
    if (manifest.textFingerprint && manifest.textFingerprint !== text) throw other('pair of text encoders');
    return manifest;
  }
}

function since({ createdAt }: Run): Date {
  return new Date(
    (createdAt?.seconds ?? 0) * 1000 + Math.floor((createdAt?.nanos ?? 0) / 1e6) - (createdAt ? CLOCK_SKEW_MS : 0),
  );
}
