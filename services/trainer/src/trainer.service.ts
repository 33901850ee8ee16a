import { Injectable } from '@nestjs/common';
import { RunState, type Run, type TrainWork } from '@atelier/contracts';
import { isRunOver, Runs } from '@atelier/jobs';
import type { WorkContext } from '@atelier/mesh';
import { ModelHost } from '@atelier/models';
import { TrainingAttempts } from './training-attempts';
import { TrainingStates } from './training-states';

type TrainContext = Pick<WorkContext, 'attempt' | 'progress' | 'signal'>;

/** Cached tensors in, an adapter out. */
@Injectable()
export class TrainerService {
  constructor(
    private readonly models: ModelHost,
    private readonly runs: Runs,
    private readonly states: TrainingStates,
    private readonly attempts: TrainingAttempts,
  ) {}

  /**
   * Trains a run to its end, from where an earlier attempt had come to. Delivered twice, also at once, it comes to the
   * same adapter.
   * @param context its signal is raised when the service is to stop: the run is then put down at the next step
   * @returns 'over' when the run has ended, however; errors are for the caller to judge
   */
  async train(work: Pick<TrainWork, 'runId' | 'manifest'>, context: TrainContext): Promise<'over' | 'put down'> {
    const run = await this.runs.get(work.runId);
    if (isRunOver(run)) await this.runs.tellState(run);
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
    if (run && !isRunOver(run)) await this.runs.failed(runId, reason);
  }

  private async attempt(run: Run, manifest: string, context: TrainContext): Promise<'over' | 'put down'> {
    await this.runs.taken(run.id, context.attempt);
    const watch = this.runs.watch(run.id);
    try {
      const ending = await this.models.use((models) => this.attempts.train(models, run, manifest, watch.met, context));
      if (ending === 'finished') return 'over';
    } catch (error) {
      if (watch.met.aborted) {
        await this.runs.cancelled(run.id);
        return 'over';
      }
      if (!context.signal.aborted) throw error;
    } finally {
      await watch.close();
    }
    await this.runs.preempted(run.id);
    return 'put down';
  }
}
