import {
  AtelierError,
  buckets,
  Run,
  RunState,
  type IEncodeSummary,
  type IEvent,
  type RunEventName,
  type RunRef,
} from '@atelier/contracts';
import { atOnce, type Mesh, type OutageOptions, type Patience } from '@atelier/mesh';
import { StateStore } from '@atelier/store';
import { Datasets } from './datasets';
import { HeldRun, type RunWork } from './held-run';
import { ended, tellOfRun, tellState } from './run-telling';
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

  /**
   * A trainer takes the run: from now on it alone may write of it, and who took it earlier finds that out. Before
   * anything else is written.
   */
  async take(id: string, work: RunWork): Promise<HeldRun> {
    const run = await this.change(id, (current) =>
      Run.create({
        ...current,
        attempts: work.attempt,
        fence: current.fence + 1,
        workSequence: work.sequence,
      }),
    );
    return new HeldRun(this.mesh, this.store, this.patience, run);
  }

  async failed(id: string, error: string): Promise<void> {
    await this.end(id, { state: RunState.RUN_STATE_FAILED, error });
  }

  async cancelled(id: string): Promise<void> {
    await this.end(id, { state: RunState.RUN_STATE_CANCELLED });
  }

  /** Its entry alone (Deletion). @param require throws where it must stay */
  remove(id: string, require: (run: Run) => void): Promise<Run | null> {
    return this.store.take(id, require);
  }

  /** Of one that is over: a validation picture is no longer there. */
  async forgetSample(id: string, image: string, require: (run: Run) => void): Promise<void> {
    await this.store.update(id, (run) => {
      require(run);
      if (!run.sampleImages.includes(image)) return null;
      return Run.create({ ...run, sampleImages: run.sampleImages.filter((other) => other !== image) });
    });
  }

  /** The adapter that the run made goes by another name. */
  async adapterRenamed(id: string, adapter: string): Promise<void> {
    if (await this.find(id)) await this.store.update(id, (run) => Run.create({ ...run, adapter }));
  }

  /**
   * Says where the run stands, or how it ended once more: who ended it may have died before saying it. Said twice, it
   * is one event.
   */
  async tellState(run: Run): Promise<void> {
    await tellState(this.mesh, this.patience, run);
  }

  /** One of which nobody knows is not told of. */
  private async end(id: string, how: Partial<Run>): Promise<void> {
    if (await this.find(id)) await this.tellState(await this.change(id, ended(how)));
  }

  /** A run that is over stays as it ended. */
  private change(id: string, mutate: (run: Run) => Run | null, options?: OutageOptions): Promise<Run> {
    return this.store.update(id, (run) => (isRunOver(run) ? null : mutate(run)), options);
  }

  private tell(run: RunRef, what: RunEventName, event: IEvent, msgId: string): Promise<void> {
    return tellOfRun(this.mesh, this.patience, run, what, event, msgId);
  }
}
