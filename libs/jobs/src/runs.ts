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
import { inOrder, takenBy, waitsItsTurn } from './run-order';
import { ended, queueEncodingAgain, tellOfRun, tellState } from './run-telling';
import { isRunOver } from './states';
import { queueIngest, queueIngestOfTurn, queueTraining } from './work';

/**
 * Runs in KV, what changes them, and what is told of it: queued → encoding → queued → training → finished, failed
 * or cancelled. Every change is a compare-and-set, a run that is over stays as it ended, and what is told twice is one event.
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

  /** Asks for the end of a run. What no trainer has in hand ends at once; a trainer sees it within a step. */
  async cancel(id: string): Promise<Run> {
    const { RUN_STATE_TRAINING, RUN_STATE_CANCELLED } = RunState;
    const run = await this.change(id, (now) => {
      const asked = Run.create({ ...now, cancelRequested: true });
      if (now.inHand || now.state === RUN_STATE_TRAINING) return now.cancelRequested ? null : asked;
      return ended({ state: RUN_STATE_CANCELLED })(asked);
    });
    if (run.state !== RUN_STATE_CANCELLED) return run;
    await this.tellState(run);
    if (run.trainingState) await this.ring(run); // a trainer clears what the run had come to
    return run;
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
   * Gives the run its manifest, with what is to be encoded of it. Done twice, it is done once; a run that is further on
   * keeps its state.
   * @returns nothing of one that is further on
   */
  async startEncoding(id: string, manifest: string, encodeSummary: IEncodeSummary): Promise<Run | undefined> {
    const former = await this.get(id);
    if (isFurtherOn(former)) return undefined;
    await this.tell(former, 'encoding', { encodeSummary }, `encoding.${id}.${former.turns || 1}`);
    const run = await this.change(id, (now) => {
      if (isFurtherOn(now)) return null;
      const next = { manifest: now.manifest || manifest, turns: now.turns || 1, state: RunState.RUN_STATE_ENCODING };
      return Run.create({ ...now, ...next });
    });
    if (isFurtherOn(run)) return undefined;
    await this.tellState(run);
    return run;
  }

  /**
   * All its encodings are there or refused: it waits for a trainer. Done twice, it is done once; and it has its message
   * whatever became of it meanwhile, since a trainer may have taken it by another's.
   * @param leftOut samples that it trains without
   */
  async encoded(id: string, turn: number, leftOut: readonly number[]): Promise<void> {
    const { RUN_STATE_QUEUED, RUN_STATE_ENCODING } = RunState;
    const run = await this.change(id, (now) => {
      if (now.turns !== turn || now.state !== RUN_STATE_ENCODING) return null;
      const settled = { encoded: true, leftOut: [...leftOut], skipped: leftOut.length, unseenServices: [] };
      return Run.create({ ...now, ...settled, state: RUN_STATE_QUEUED });
    });
    if (run.turns !== turn) return;
    if (waitsItsTurn(run)) await this.tellState(run);
    await this.ring(run);
  }

  /**
   * A trainer that got a message takes the run whose turn it is: from now on it alone may write of it, and who took it
   * earlier finds that out. Before anything else is written.
   * @returns nothing where no run waits: there is a message more than there are runs
   */
  async takeNext(work: RunWork): Promise<HeldRun | undefined> {
    for (;;) {
      const runs = await this.list();
      const earlier = takenBy(runs, work);
      if (earlier?.state === RunState.RUN_STATE_ENCODING) {
        await queueEncodingAgain(this.mesh, this.patience, earlier); // it may have died before it did
        return undefined;
      }
      const next = earlier ?? inOrder(runs)[0];
      if (!next) return undefined;
      const held = await this.take(next, work);
      if (held) return held;
    }
  }

  /** @returns nothing where someone else was quicker */
  private async take(found: Run, work: RunWork): Promise<HeldRun | undefined> {
    let taken = false;
    const run = await this.change(found.id, (now) => {
      taken = now.fence === found.fence && now.state === found.state && now.inHand === found.inHand;
      if (!taken) return null;
      const { attempt: attempts, sequence: workSequence } = work;
      return Run.create({ ...now, attempts, workSequence, fence: now.fence + 1, inHand: true, encoded: true });
    });
    return taken && !isRunOver(run) ? new HeldRun(this.mesh, this.store, this.patience, run) : undefined;
  }

  /** The run that a message was used for and that is not done with. */
  async takenBy(work: Pick<RunWork, 'sequence' | 'runId'>): Promise<Run | undefined> {
    return takenBy(await this.list(), work);
  }

  /** The run whose message this was, and which is over. */
  async endedBy(sequence: number): Promise<Run | undefined> {
    return (await this.list()).find((run) => run.workSequence === sequence && isRunOver(run));
  }

  /** A run that 0.1.0 sent to its trainer before it was encoded waits for the encoders first, as all do now. */
  async encodeFirst(id: string): Promise<void> {
    const isEarly = (run: Run): boolean => run.state === RunState.RUN_STATE_ENCODING && run.turns === 0;
    const found = await this.find(id);
    if (!found || !isEarly(found)) return;
    await this.patience(() => queueIngestOfTurn(this.mesh, { datasetId: found.datasetId, runId: id }, 1));
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

  private ring({ id, manifest, turns }: Run): Promise<void> {
    return this.patience(() => queueTraining(this.mesh, { runId: id, manifest }, turns));
  }

  private tell(run: RunRef, what: RunEventName, event: IEvent, msgId: string): Promise<void> {
    return tellOfRun(this.mesh, this.patience, run, what, event, msgId);
  }
}

/** Than that its data set is read for it. */
function isFurtherOn(run: Run): boolean {
  return isRunOver(run) || run.encoded || run.state === RunState.RUN_STATE_TRAINING;
}
