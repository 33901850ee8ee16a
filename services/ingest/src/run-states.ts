import { Injectable } from '@nestjs/common';
import { google, Run, RunState, subjects, TrainWork, type IEncodeSummary } from '@atelier/contracts';
import { Mesh, publishEvent, publishWork } from '@atelier/mesh';
import { StateStore } from '@atelier/store';

const OVER = new Set([RunState.RUN_STATE_FINISHED, RunState.RUN_STATE_FAILED, RunState.RUN_STATE_CANCELLED]);

/** The part of a run's life that ingest drives: queued → encoding, or failed. */
@Injectable()
export class RunStates {
  private readonly store: StateStore<Run>;

  constructor(private readonly mesh: Mesh) {
    this.store = new StateStore(mesh, 'runs', Run);
  }

  /** A run that was cancelled while it waited is ended here: no other service has heard of it yet. */
  async wantsWork(id: string): Promise<boolean> {
    const stored = await this.store.get(id);
    if (!stored || OVER.has(stored.value.state)) return false;
    if (!stored.value.cancelRequested) return true;
    await this.end(id, RunState.RUN_STATE_CANCELLED, '');
    return false;
  }

  /** Gives the run its manifest and puts its training on the queue. A run that is further on keeps its state. */
  async startEncoding(id: string, manifest: string, encodeSummary: IEncodeSummary): Promise<void> {
    await publishEvent(
      this.mesh,
      subjects.event('run', id, 'encoding'),
      { encodeSummary },
      { msgId: `encoding.${id}` },
    );
    const run = await this.store.update(id, (current) => {
      if (current.state !== RunState.RUN_STATE_QUEUED) return null;
      return Run.create({ ...current, manifest, state: RunState.RUN_STATE_ENCODING });
    });
    if (run.state !== RunState.RUN_STATE_ENCODING) return;
    await this.tell(id, run.state, '');
    await publishWork(
      this.mesh,
      subjects.work.train,
      TrainWork,
      { runId: id, manifest: run.manifest },
      { msgId: `train.${id}` },
    );
  }

  async fail(id: string, error: string): Promise<void> {
    await this.end(id, RunState.RUN_STATE_FAILED, error);
  }

  private async end(id: string, state: RunState, error: string): Promise<void> {
    if (!(await this.store.get(id))) return;
    const run = await this.store.update(id, (current) =>
      OVER.has(current.state) ? null : Run.create({ ...current, state, error, finishedAt: now() }),
    );
    await this.tell(id, run.state, run.error);
  }

  private async tell(runId: string, state: RunState, error: string): Promise<void> {
    const msgId = `state.${runId}.${state}`;
    await publishEvent(
      this.mesh,
      subjects.event('run', runId, 'state'),
      { runState: { runId, state, error } },
      { msgId },
    );
  }
}

function now(): google.protobuf.ITimestamp {
  const milliseconds = Date.now();
  return { seconds: Math.floor(milliseconds / 1000), nanos: (milliseconds % 1000) * 1e6 };
}
