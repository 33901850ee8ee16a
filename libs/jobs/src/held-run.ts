import {
  AdapterChange,
  AtelierError,
  Run,
  RunState,
  timestamp,
  type IEvent,
  type IMemoryPlan,
  type IPictureTable,
  type IRunStep,
  type RunEventName,
} from '@atelier/contracts';
import { STOPPING_PATIENCE_MS, type Mesh, type OutageOptions, type Patience, type WorkContext } from '@atelier/mesh';
import { StateWatch, type StateStore } from '@atelier/store';
import { tellAdapter } from './adapter-telling';
import { ended, queueEncodingAgain, tellOfRun, tellState } from './run-telling';
import { isRunOver } from './states';

/** What a trainer takes a run by. */
export type RunWork = Pick<WorkContext, 'attempt' | 'sequence'> & { runId: string };

/** Another has taken the run since: what was to be written is not. */
export class Superseded extends AtelierError {
  constructor(readonly now: Run) {
    super('ABORTED', `another trainer has taken run ${now.id} since`);
  }
}

/**
 * A run in the hands of one trainer. Each write is a compare-and-set that finds the trainer's own fencing token in the
 * run's entry, or throws Superseded: a process that hung, and was taken for dead, changes nothing of what another has
 * done since. A run that is over stays as it ended.
 */
export class HeldRun {
  private taken?: Superseded;

  constructor(
    private readonly mesh: Mesh,
    private readonly store: StateStore<Run>,
    private readonly patience: Patience,
    /** As it was when it was taken. */
    readonly run: Run,
  ) {}

  get id(): string {
    return this.run.id;
  }

  /** Larger than that of everybody who took the run before. */
  get fence(): number {
    return this.run.fence;
  }

  /** That another has taken the run, as far as is known. */
  get superseded(): Superseded | undefined {
    return this.taken;
  }

  /** Raised when someone asks for the run's end, it was ended elsewhere, or another has taken it. */
  watch(): StateWatch<Run> {
    const isToEnd = (now: Run): boolean => this.isLost(now) || now.cancelRequested || isRunOver(now);
    return new StateWatch(this.store, this.id, isToEnd);
  }

  /** Raised when someone pauses the run. */
  watchPause(): StateWatch<Run> {
    return new StateWatch(this.store, this.id, ({ pauseRequested }) => pauseRequested);
  }

  /** Throws Superseded where another has taken it: before what is written elsewhere than in the run's entry. */
  async require(): Promise<void> {
    const stored = await this.store.get(this.id);
    if (stored && this.isLost(stored.value)) throw this.taken!;
  }

  /** A training state is kept under this name: the attempts until now count no more. */
  async stateSaved(trainingState: string): Promise<{ former: string }> {
    let former = '';
    await this.change((run) => {
      former = run.trainingState === trainingState ? former : run.trainingState;
      return Run.create({ ...run, trainingState, attempts: 0 });
    });
    return { former };
  }

  /**
   * It is put down, because its trainer is asked to stop or because a person paused it: that is no attempt. It waits its
   * turn again, or until it is resumed; one whose end was asked for meanwhile ends.
   */
  async putDown({ preempted }: { preempted: boolean }): Promise<Run> {
    const down = (now: Run): Run | null =>
      now.cancelRequested
        ? ended({ state: RunState.RUN_STATE_CANCELLED })(now)
        : Run.create({ ...released(now, RunState.RUN_STATE_QUEUED), preemptions: now.preemptions + Number(preempted) });
    const run = await this.change(down, { patienceMs: STOPPING_PATIENCE_MS });
    await tellState(this.mesh, this.patience, run);
    return run;
  }

  /** An encoding of it is gone: it waits for the encoders again, and is no trainer's until then. */
  async encodeAgain(): Promise<void> {
    const run = await this.change((now) =>
      Run.create({ ...released(now, RunState.RUN_STATE_ENCODING), encoded: false, turns: now.turns + 1 }),
    );
    if (!isRunOver(run)) await queueEncodingAgain(this.mesh, this.patience, run);
  }

  async planned(plan: IMemoryPlan): Promise<void> {
    await this.change((run) => Run.create({ ...run, plan }));
    await this.tell('planned', { runPlanned: { runId: this.id, plan } }, `planned.${this.id}`);
  }

  async training(): Promise<void> {
    const state = RunState.RUN_STATE_TRAINING;
    const run = await this.change((now) => Run.create({ ...now, state, startedAt: now.startedAt ?? timestamp() }));
    await tellState(this.mesh, this.patience, run);
  }

  /** Told alone: the state is written by `progress`, less often. */
  async step(at: Omit<IRunStep, 'runId'> & { step: number }): Promise<void> {
    await this.require();
    await this.tell('step', { runStep: { runId: this.id, ...at } }, `step.${this.id}.${at.step}`);
  }

  async progress(at: Pick<Run, 'step' | 'loss' | 'learningRate'>): Promise<void> {
    await this.change((run) => Run.create({ ...run, ...at }));
  }

  async sample(step: number, prompt: string, image: string): Promise<void> {
    await this.change((run) =>
      run.sampleImages.includes(image) ? null : Run.create({ ...run, sampleImages: [...run.sampleImages, image] }),
    );
    await this.tell('sample', { runSample: { runId: this.id, step, prompt, image } }, `sample.${image}`);
  }

  /** Scored once more, it is one event: the same step gives the same loss. */
  async heldOut({ step, loss }: { step: number; loss: number }, samples: number, best: boolean): Promise<void> {
    await this.require();
    // Told before it is noted: what is noted is not scored again by who goes on after a kill.
    const runHeldOut = { runId: this.id, step, loss, samples, best };
    await this.tell('held-out', { runHeldOut }, `held-out.${this.id}.${step}`);
    await this.change((run) => {
      if (run.heldOut.some((score) => score.step === step)) return null;
      const heldOut = [...run.heldOut, { step, loss }].sort((a, b) => (a.step ?? 0) - (b.step ?? 0));
      return Run.create({ ...run, heldOut, heldOutSamples: samples });
    });
  }

  /** An adapter is there under `name`; `lastKept`: which of those by step is to stay if the run ends here. */
  async kept(name: string, lastKept: string): Promise<void> {
    await this.change((run) => (run.lastKept === lastKept ? null : Run.create({ ...run, lastKept })));
    const made = { name, change: AdapterChange.ADAPTER_CHANGE_MADE, runId: this.id };
    await this.patience(() => tellAdapter(this.mesh, made, `made.${this.id}.${name}`));
  }

  async pictures(pictures: IPictureTable): Promise<void> {
    await this.change((run) => Run.create({ ...run, pictures }));
  }

  async finished(adapter: string, { stoppedEarly = false } = {}): Promise<void> {
    await this.end({ state: RunState.RUN_STATE_FINISHED, adapter, stoppedEarly });
    const made = { name: adapter, change: AdapterChange.ADAPTER_CHANGE_MADE, runId: this.id };
    await this.patience(() => tellAdapter(this.mesh, made, `made.${this.id}`));
  }

  async cancelled(): Promise<void> {
    await this.end({ state: RunState.RUN_STATE_CANCELLED });
  }

  private async end(how: Partial<Run>): Promise<void> {
    await tellState(this.mesh, this.patience, await this.change(ended(how)));
  }

  private change(mutate: (run: Run) => Run | null, options?: OutageOptions): Promise<Run> {
    const held = (run: Run): Run | null => {
      if (this.isLost(run)) throw this.taken!;
      return isRunOver(run) ? null : mutate(run);
    };
    return this.store.update(this.id, held, options);
  }

  private isLost(now: Run): boolean {
    if (now.fence !== this.fence) this.taken = new Superseded(now);
    return this.taken !== undefined;
  }

  private tell(what: RunEventName, event: IEvent, msgId: string): Promise<void> {
    return tellOfRun(this.mesh, this.patience, this.run, what, event, msgId);
  }
}

/**
 * Out of its trainer's hand, which was no attempt at it. The message that it was taken by is another run's from now on,
 * unless it waits for the encoders, which whoever gets that message sees to.
 */
function released({ attempts, pauseRequested, workSequence, ...rest }: Run, state: RunState): Run {
  return Run.create({
    ...rest,
    workSequence: state === RunState.RUN_STATE_ENCODING ? workSequence : 0,
    state: pauseRequested ? RunState.RUN_STATE_PAUSED : state,
    inHand: false,
    attempts: Math.max(0, attempts - 1),
  });
}
