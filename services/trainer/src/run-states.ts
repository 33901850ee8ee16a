import { Injectable } from '@nestjs/common';
import { AtelierError, google, Run, RunState, subjects, type IMemoryPlan, type IRunStep } from '@atelier/contracts';
import { Mesh, publishEvent, throughOutage, type OutageOptions } from '@atelier/mesh';
import { StateStore, StateWatch } from '@atelier/store';

const OVER = new Set([RunState.RUN_STATE_FINISHED, RunState.RUN_STATE_FAILED, RunState.RUN_STATE_CANCELLED]);

/** How long a trainer that stops waits for a mesh that is away. */
const STOPPING_PATIENCE_MS = 5000;

export const isOver = (run: Run): boolean => OVER.has(run.state);

/** The part of a run's life that the trainer drives, in KV and in events: encoding → training → finished, failed or cancelled. */
@Injectable()
export class RunStates {
  private readonly store: StateStore<Run>;

  constructor(private readonly mesh: Mesh) {
    this.store = new StateStore(mesh, 'runs', Run);
  }

  async get(id: string): Promise<Run> {
    const run = await this.find(id);
    if (!run)
      throw new AtelierError('NOT_FOUND', `there is no run ${JSON.stringify(id)}: it was deleted, or never noted`);
    return run;
  }

  async find(id: string): Promise<Run | undefined> {
    return (await throughOutage(() => this.store.get(id)))?.value;
  }

  /** Raised when someone asks for the run's end, or it was ended elsewhere. */
  watch(id: string): StateWatch<Run> {
    return new StateWatch(this.store, id, (run) => run.cancelRequested || isOver(run));
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
    if (!isOver(run)) await this.tellState(run, `preempted.${id}.${run.preemptions}`);
  }

  async planned(id: string, plan: IMemoryPlan): Promise<void> {
    await this.change(id, (run) => Run.create({ ...run, plan }));
    await this.tell(id, 'planned', { runPlanned: { runId: id, plan } }, `planned.${id}`);
  }

  async training(id: string): Promise<void> {
    const run = await this.change(id, (current) =>
      Run.create({ ...current, state: RunState.RUN_STATE_TRAINING, startedAt: current.startedAt ?? now() }),
    );
    await this.tellState(run);
  }

  async step(runStep: IRunStep & { runId: string; step: number }): Promise<void> {
    await this.tell(runStep.runId, 'step', { runStep }, `step.${runStep.runId}.${runStep.step}`);
  }

  async progress(id: string, at: Pick<Run, 'step' | 'loss' | 'learningRate'>): Promise<void> {
    await this.change(id, (run) => Run.create({ ...run, ...at }));
  }

  async skipped(id: string, skipped: number): Promise<void> {
    await this.change(id, (run) => Run.create({ ...run, skipped }));
  }

  async sample(id: string, step: number, prompt: string, image: string): Promise<void> {
    await this.change(id, (run) =>
      run.sampleImages.includes(image) ? null : Run.create({ ...run, sampleImages: [...run.sampleImages, image] }),
    );
    await this.tell(id, 'sample', { runSample: { runId: id, step, prompt, image } }, `sample.${image}`);
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
  async tellState({ id, state, error, preemptions }: Run, msgId = `state.${id}.${state}`): Promise<void> {
    await this.tell(id, 'state', { runState: { runId: id, state, error, preemptions } }, msgId);
  }

  /** A run that is over stays as it ended. */
  private async end(id: string, how: Partial<Run>): Promise<void> {
    await this.tellState(await this.change(id, (run) => Run.create({ ...run, ...how, finishedAt: now() })));
  }

  private change(id: string, mutate: (run: Run) => Run | null, options?: OutageOptions): Promise<Run> {
    return throughOutage(() => this.store.update(id, (run) => (isOver(run) ? null : mutate(run))), options);
  }

  private async tell(
    id: string,
    what: string,
    event: Parameters<typeof publishEvent>[2],
    msgId: string,
  ): Promise<void> {
    await throughOutage(() => publishEvent(this.mesh, subjects.event('run', id, what), event, { msgId }));
  }
}

function now(): google.protobuf.ITimestamp {
  const milliseconds = Date.now();
  return { seconds: Math.floor(milliseconds / 1000), nanos: (milliseconds % 1000) * 1e6 };
}
