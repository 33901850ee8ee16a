import { Inject, Injectable } from '@nestjs/common';
import { RunState, type TrainWork } from '@atelier/contracts';
import { isRunOver, Runs, type HeldRun } from '@atelier/jobs';
import { LOGGER, type Ending, type Logger, type WorkContext } from '@atelier/mesh';
import { ModelHost } from '@atelier/models';
import { TrainingAttempts } from './training-attempts';
import { TrainingStates } from './training-states';

type TrainContext = Pick<WorkContext, 'attempt' | 'sequence' | 'progress' | 'signal'>;

/** Cached tensors in, an adapter out. */
@Injectable()
export class TrainerService {
  constructor(
    private readonly models: ModelHost,
    private readonly runs: Runs,
    private readonly states: TrainingStates,
    private readonly attempts: TrainingAttempts,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /**
   * Trains a run to its end, from where an earlier attempt had come to. Delivered twice, also at once, it comes to the
   * same adapter: who took it last trains it, the other puts it down.
   * @param context its signal is raised when the service is to stop: the run is then put down at the next step
   * @returns 'over' when the run has ended, however, or is driven by another message; errors are for the caller to judge
   */
  async train(work: Pick<TrainWork, 'runId' | 'manifest'>, context: TrainContext): Promise<Ending> {
    const run = await this.runs.find(work.runId);
    if (!run) {
      this.logger.info({ runId: work.runId }, 'the run was deleted: nothing to do');
      return 'over';
    }
    if (isRunOver(run)) await this.runs.tellState(run);
    else {
      const held = await this.runs.take(run.id, context);
      const ending = await this.attempt(held, work.manifest || run.manifest, context);
      if (held.superseded) return this.lost(held);
      if (ending === 'put down') return ending;
    }
    // What a run that failed had come to is kept: hours of work, which its reason may have nothing to do with.
    const ended = await this.runs.find(run.id); // or deleted, as soon as it was over
    if (ended?.state !== RunState.RUN_STATE_FAILED) await this.states.remove(run.id);
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

  private async attempt(held: HeldRun, manifest: string, context: TrainContext): Promise<Ending> {
    const watch = held.watch();
    try {
      const ending = await this.models.use((models) => this.attempts.train(models, held, manifest, watch.met, context));
      if (ending === 'finished') return 'over';
    } catch (error) {
      if (held.superseded) return 'taken over';
      if (watch.met.aborted) return await this.cancelled(held);
      if (!context.signal.aborted) throw error;
    } finally {
      await watch.close();
    }
    await held.preempted().catch((error: Error) => {
      this.logger.warn({ runId: held.id, error: error.message }, 'could not note that the run was put down');
    });
    return 'put down';
  }

  private async cancelled(held: HeldRun): Promise<Ending> {
    try {
      await held.cancelled();
      return 'over';
    } catch (error) {
      if (held.superseded) return 'taken over';
      throw error;
    }
  }

  private lost({ run, fence, isLostToSameWork }: HeldRun): Ending {
    this.logger.warn(
      { runId: run.id, name: run.name, fence },
      'another trainer has taken the run: it is put down here',
    );
    return isLostToSameWork ? 'taken over' : 'over';
  }
}
