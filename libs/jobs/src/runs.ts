import {
  AtelierError,
  buckets,
  eventSubjects,
  Run,
  RunState,
  timestamp,
  type IEncodeSummary,
  type IEvent,
  type IMemoryPlan,
  type IRunStep,
  type RunEventName,
  type RunRef,
} from '@atelier/contracts';
import { atOnce, publishEvent, type Mesh, type OutageOptions, type Patience } from '@atelier/mesh';
import { StateStore, StateWatch } from '@atelier/store';
import { Datasets } from './datasets';
import { STOPPING_PATIENCE_MS } from './patience';
import { isRunOver } from './states';
import { queueIngest, queueTraining } from './work';

/**
 * Runs in KV, what changes them, and what is told of it: queued → encoding → training → finished, failed or cancelled.
 * Every change is a compare-and-set, a run that is over stays as it ended, and what is told twice is one event.
 */
export class Runs {
  private readonly store: StateStore<Run>;

  constructor(
    private readonly mesh: Mesh,
    private readonly patience: Patience = atOnce,
  ) {
    this.store = new StateStore(mesh, buckets.state.runs, Run, patience);
  }

  /** Throws NOT_FOUND. */
  async get(id: string): Promise<Run> {
    const run = await this.find(id);
    if (!run)
      throw new AtelierError('NOT_FOUND', `there is no run ${JSON.stringify(id)}: it was deleted, or never noted`);
    return run;
  }

  async find(id: string): Promise<Run | undefined> {
    return (await this.store.get(id))?.value;
  }

  list(): Promise<Run[]> {
    return this.store.list();
  }

  /** The run now, then every change of it, until the signal. */
  states(id: string, signal: AbortSignal): AsyncGenerator<Run> {
    return this.store.watch(id, { signal });
  }

  /** Raised when someone asks for the run's end, or it was ended elsewhere. */
  watch(id: string): StateWatch<Run> {
    return new StateWatch(this.store, id, (run) => run.cancelRequested || isRunOver(run));
  }

  /**
   * Writes the run, then what starts it: a note in its data set, while that is still to be read, or a message of its own.
   * It resolves only when both are on disk. Throws StoreFull.
   */
  async queue(run: Run): Promise<void> {
    await this.store.create(run.id, run);
    try {
      if (!(await new Datasets(this.mesh).keepWaiting(run.datasetId, run.id)))
        await queueIngest(this.mesh, { datasetId: run.datasetId, runId: run.id });
    } catch (error) {
      const reason = `its work could not be queued: ${(error as Error).message}`;
      await this.change(run.id, ended({ state: RunState.RUN_STATE_FAILED, error: reason }));
      throw error;
    }
  }

  /** Asks for the end of a run; the trainer sees it within a step. */
  cancel(id: string): Promise<Run> {
    return this.change(id, (run) => (run.cancelRequested ? null : Run.create({ ...run, cancelRequested: true })));
  }

  /** A run that was cancelled while it waited is ended here: no other service has heard of it yet. */
  async wantsWork(id: string): Promise<boolean> {
    const run = await this.find(id);
    if (!run || isRunOver(run)) return false;
    if (!run.cancelRequested) return true;
    await this.cancelled(id);
    return false;
  }

  /**
   * Gives the run its manifest and puts its training on the queue. Done twice, it is done once; a run that is further on
   * keeps its state.
   */
  async startEncoding(id: string, manifest: string, encodeSummary: IEncodeSummary): Promise<void> {
    const former = await this.get(id);
    const { RUN_STATE_QUEUED, RUN_STATE_ENCODING } = RunState;
    if (former.state !== RUN_STATE_QUEUED && former.state !== RUN_STATE_ENCODING) return;
    await this.tell(former, 'encoding', { encodeSummary }, `encoding.${id}`);
    const run = await this.change(id, (current) => {
      if (current.state !== RUN_STATE_QUEUED) return null;
      return Run.create({ ...current, manifest, state: RUN_STATE_ENCODING });
    });
    if (run.state !== RUN_STATE_ENCODING) return;
    await this.tellState(run);
    await queueTraining(this.mesh, { runId: id, manifest: run.manifest });
  }

  /** A trainer begins with it. */
  async taken(id: string, attempts: number): Promise<void> {
    await this.change(id, (run) => (run.attempts === attempts ? null : Run.create({ ...run, attempts })));
  }

  /** The attempts until now count no more. */
  async stateSaved(id: string): Promise<void> {
    await this.taken(id, 0);
  }

  /** It is put down because its trainer is asked to stop: that is no attempt, and is told. */
  async preempted(id: string): Promise<void> {
    const putDown = ({ attempts, preemptions, ...rest }: Run): Run =>
      Run.create({ ...rest, attempts: Math.max(0, attempts - 1), preemptions: preemptions + 1 });
    const run = await this.change(id, putDown, { patienceMs: STOPPING_PATIENCE_MS });
    if (!isRunOver(run)) await this.tellState(run, `preempted.${id}.${run.preemptions}`);
  }

  async planned(id: string, plan: IMemoryPlan): Promise<void> {
    const run = await this.change(id, (current) => Run.create({ ...current, plan }));
    await this.tell(run, 'planned', { runPlanned: { runId: id, plan } }, `planned.${id}`);
  }

  async training(id: string): Promise<void> {
    const run = await this.change(id, (current) =>
      Run.create({
        ...current,
        state: RunState.RUN_STATE_TRAINING,
        startedAt: current.startedAt ?? timestamp(),
      }),
    );
    await this.tellState(run);
  }

  /** Told alone: the state is written by `progress`, less often. */
  async step(run: RunRef, at: Omit<IRunStep, 'runId'> & { step: number }): Promise<void> {
    await this.tell(run, 'step', { runStep: { runId: run.id, ...at } }, `step.${run.id}.${at.step}`);
  }

  async progress(id: string, at: Pick<Run, 'step' | 'loss' | 'learningRate'>): Promise<void> {
    await this.change(id, (run) => Run.create({ ...run, ...at }));
  }

  async skipped(id: string, skipped: number): Promise<void> {
    await this.change(id, (run) => Run.create({ ...run, skipped }));
  }

  async sample(id: string, step: number, prompt: string, image: string): Promise<void> {
    const run = await this.change(id, (current) =>
      current.sampleImages.includes(image)
        ? null
        : Run.create({ ...current, sampleImages: [...current.sampleImages, image] }),
    );
    await this.tell(run, 'sample', { runSample: { runId: id, step, prompt, image } }, `sample.${image}`);
  }

  async finished(id: string, adapter: string): Promise<void> {
    await this.end(id, { state: RunState.RUN_STATE_FINISHED, adapter });
  }

  async failed(id: string, error: string): Promise<void> {
    await this.end(id, { state: RunState.RUN_STATE_FAILED, error });
  }

  async cancelled(id: string): Promise<void> {
    await this.end(id, { state: RunState.RUN_STATE_CANCELLED });
  }

  /**
   * Says where the run stands, or how it ended once more: who ended it may have died before saying it. Said twice, it
   * is one event.
   */
  async tellState(run: Run, msgId = `state.${run.id}.${run.state}`): Promise<void> {
    const { id: runId, state, error, preemptions } = run;
    await this.tell(run, 'state', { runState: { runId, state, error, preemptions } }, msgId);
  }

  /** One of which nobody knows is not told of. */
  private async end(id: string, how: Partial<Run>): Promise<void> {
    if (await this.find(id)) await this.tellState(await this.change(id, ended(how)));
  }

  /** A run that is over stays as it ended. */
  private change(id: string, mutate: (run: Run) => Run | null, options?: OutageOptions): Promise<Run> {
    return this.store.update(id, (run) => (isRunOver(run) ? null : mutate(run)), options);
  }

  private async tell(run: RunRef, what: RunEventName, event: IEvent, msgId: string): Promise<void> {
    await this.patience(() => publishEvent(this.mesh, eventSubjects.run(run, what), event, { msgId }));
  }
}

const ended =
  (how: Partial<Run>) =>
  (run: Run): Run =>
    Run.create({ ...run, ...how, finishedAt: timestamp() });
