import { randomUUID } from 'node:crypto';
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
import { atOnce, currentTraceparent, inSpan, type Mesh, type OutageOptions, type Patience } from '@atelier/mesh';
import { StateStore } from '@atelier/store';
import { Datasets } from './datasets';
import { waitsForEncoders, waitsItsTurn } from './run-order';
import { ended, tellOfRun, tellState } from './run-telling';
import { goOnForRun } from './run-trace';
import { isRunOver } from './states';
import { queueIngest, queueTraining } from './work';

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
  queue(run: Run): Promise<void> {
    const { id: runId, datasetId } = run;
    return inSpan('queue run', { ids: { runId, datasetId } }, () =>
      this.write(Run.create({ ...run, traceparent: currentTraceparent() })),
    );
  }

  private async write(run: Run): Promise<void> {
    await this.store.create(run.id, run);
    await this.queueAgain(run);
  }

  /**
   * What starts one that nobody has begun with: who noted it may have died before, or have had nobody to queue it with.
   * @returns the run as it is then
   */
  async queueAgain(noted: Run): Promise<Run> {
    const run = isNotQueued(noted) ? await this.store.update(noted.id, reopened) : noted;
    if (run.state !== RunState.RUN_STATE_QUEUED || run.turns > 0) return run;
    try {
      if (!(await new Datasets(this.mesh).keepWaiting(run.datasetId, run.id)))
        await queueIngest(this.mesh, { datasetId: run.datasetId, runId: run.id });
    } catch (error) {
      const reason = `${NOT_QUEUED}: ${(error as Error).message}`;
      await this.change(run.id, ended({ state: RunState.RUN_STATE_FAILED, error: reason }));
      throw error;
    }
    return run;
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

  /** Of runs that wait for a trainer the one with the largest goes first. What is in hand is not put down for it. */
  prioritize(id: string, priority: number): Promise<Run> {
    return this.change(id, (run) => (run.priority === priority ? null : Run.create({ ...run, priority })));
  }

  /**
   * No trainer takes the run until it is resumed; one that has it in hand puts it down within a step. Encoders go on
   * with what they were asked for: other runs on its data set want it too.
   */
  async pause(id: string): Promise<Run> {
    let paused = false;
    const run = await this.change(id, (now) => {
      if (now.cancelRequested) return null;
      paused = !now.inHand && now.state !== RunState.RUN_STATE_TRAINING && !isPaused(now);
      if (paused) return Run.create({ ...now, state: RunState.RUN_STATE_PAUSED, unseenServices: [] });
      return isPaused(now) || now.pauseRequested ? null : Run.create({ ...now, pauseRequested: true });
    });
    if (paused) await this.tellMove(run);
    return run;
  }

  /** It goes on where it was. Once more, it sees to it that a trainer hears of the run: who asked first may have died. */
  async resume(id: string): Promise<Run> {
    let resumed = false;
    const { RUN_STATE_QUEUED, RUN_STATE_ENCODING } = RunState;
    const run = await this.change(id, (now) => {
      resumed = isPaused(now);
      if (!resumed) return now.pauseRequested ? Run.create({ ...now, pauseRequested: false }) : null;
      if (now.encoded) return Run.create({ ...now, state: RUN_STATE_QUEUED, turns: now.turns + 1 });
      return Run.create({ ...now, state: now.manifest ? RUN_STATE_ENCODING : RUN_STATE_QUEUED });
    });
    if (resumed) await this.tellMove(run);
    if (waitsItsTurn(run)) await this.ring(run);
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
   * @param promptsKeys those of its validation prompts
   * @returns nothing of one that is further on
   */
  async startEncoding(
    id: string,
    manifest: string,
    encodeSummary: IEncodeSummary,
    promptsKeys: string[] = [],
  ): Promise<Run | undefined> {
    const former = await this.get(id);
    if (isFurtherOn(former)) return undefined;
    await this.tell(former, 'encoding', { encodeSummary }, `encoding.${id}.${former.turns || 1}`);
    const run = await this.change(id, (now) => {
      if (isFurtherOn(now)) return null;
      const distinctPictures = now.distinctPictures || (encodeSummary.latentsTotal ?? 0);
      const next = { manifest: now.manifest || manifest, turns: now.turns || 1, promptsKeys, distinctPictures };
      return Run.create({ ...now, ...next, state: isPaused(now) ? now.state : RunState.RUN_STATE_ENCODING });
    });
    if (isFurtherOn(run)) return undefined;
    if (!isPaused(run)) await this.tellState(run);
    return run;
  }

  /**
   * All its encodings are there or refused: it waits for a trainer. Done twice, it is done once; and it has its message
   * whatever became of it meanwhile, since a trainer may have taken it by another's.
   * @param leftOut samples that it trains without
   */
  async encoded(id: string, turn: number, leftOut: readonly number[]): Promise<void> {
    const run = await this.change(id, (now) => {
      if (now.turns !== turn || !waitsForEncoders(now)) return null;
      const settled = { encoded: true, leftOut: [...leftOut], skipped: leftOut.length, unseenServices: [] };
      return Run.create({ ...now, ...settled, state: isPaused(now) ? now.state : RunState.RUN_STATE_QUEUED });
    });
    if (run.turns !== turn) return;
    await goOnForRun('run encoded', run, async () => {
      if (waitsItsTurn(run)) await this.tellState(run);
      await this.ring(run);
    });
  }

  /** Services that a run waits for and of which nobody has heard for a while: told when that changes. */
  async noteUnseen(id: string, unseenOf: (noted: readonly string[]) => string[]): Promise<void> {
    let changed = false;
    const run = await this.change(id, (now) => {
      const unseenServices = now.state === RunState.RUN_STATE_ENCODING ? unseenOf(now.unseenServices) : [];
      changed = unseenServices.join() !== now.unseenServices.join();
      return changed ? Run.create({ ...now, unseenServices }) : null;
    });
    if (changed) await goOnForRun('run waits', run, () => this.tellMove(run));
  }

  async failed(id: string, error: string): Promise<void> {
    await this.end(id, { state: RunState.RUN_STATE_FAILED, error });
  }

  async cancelled(id: string): Promise<void> {
    await this.end(id, { state: RunState.RUN_STATE_CANCELLED });
  }

  /** Its entry alone (Deletion). @param require throws where it must stay */
  remove(id: string, require: (run: Run) => void | Promise<void>): Promise<Run | null> {
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
    if (!(await this.find(id))) return;
    const run = await this.change(id, ended(how));
    await goOnForRun('end run', run, () => this.tellState(run));
  }

  /** A run that is over stays as it ended. */
  private change(id: string, mutate: (run: Run) => Run | null, options?: OutageOptions): Promise<Run> {
    return this.store.update(id, (run) => (isRunOver(run) ? null : mutate(run)), options);
  }

  /** Of a change after which a run may be in the same state, in the same turn, as before. */
  private tellMove(run: Run): Promise<void> {
    return tellState(this.mesh, this.patience, run, `move.${run.id}.${randomUUID()}`);
  }

  private ring({ id, manifest, turns }: Run): Promise<void> {
    return this.patience(() => queueTraining(this.mesh, { runId: id, manifest }, turns));
  }

  private tell(run: RunRef, what: RunEventName, event: IEvent, msgId: string): Promise<void> {
    return tellOfRun(this.mesh, this.patience, run, what, event, msgId);
  }
}

/** How the error of a run begins that ended before anybody had heard of it. */
const NOT_QUEUED = 'its work could not be queued';

const isNotQueued = ({ state, error }: Run): boolean =>
  state === RunState.RUN_STATE_FAILED && error.startsWith(NOT_QUEUED);

const reopened = (run: Run): Run | null =>
  isNotQueued(run) ? Run.create({ ...run, state: RunState.RUN_STATE_QUEUED, error: '', finishedAt: null }) : null;

/** Than that its data set is read for it. */
function isFurtherOn(run: Run): boolean {
  return isRunOver(run) || run.encoded || run.state === RunState.RUN_STATE_TRAINING;
}

const isPaused = ({ state }: Run): boolean => state === RunState.RUN_STATE_PAUSED;
