import { Inject, Injectable } from '@nestjs/common';
import { RunState, type Run, type TrainWork } from '@atelier/contracts';
import { goOnForRun, isRunOver, Runs, TrainersQueue, type HeldRun } from '@atelier/jobs';
import { LOGGER, type Ending, type GivenUpContext, type Logger, type WorkContext } from '@atelier/mesh';
import { ModelHost } from '@atelier/models';
import { EncodingMissing } from './sample-source';
import { TrainingAttempts } from './training-attempts';
import { TrainingStates } from './training-states';

type TrainContext = Pick<WorkContext, 'attempt' | 'sequence' | 'progress' | 'signal'>;

/** Cached tensors in, an adapter out. */
@Injectable()
export class TrainerService {
  constructor(
    private readonly models: ModelHost,
    private readonly runs: Runs,
    private readonly queue: TrainersQueue,
    private readonly states: TrainingStates,
    private readonly attempts: TrainingAttempts,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /**
   * Trains the run whose turn it is to its end, from where an earlier attempt had come to. Delivered twice, also at
   * once, it comes to the same adapter: who took it last trains it, the other puts it down.
   * @param context its signal is raised when the service is to stop: the run is then put down at the next step
   * @returns 'over' when the run has ended, however, or none waits; errors are for the caller to judge
   */
  async train({ runId }: Pick<TrainWork, 'runId'>, context: TrainContext): Promise<Ending> {
    const ended = await this.queue.endedBy(context.sequence);
    if (ended) {
      await this.clear(ended);
      return 'over';
    }
    const named = await this.runs.find(runId);
    if (named) await this.clear(named);
    await this.queue.encodeFirst(runId);
    const held = await this.queue.takeNext({ ...context, runId });
    if (!held) return 'over';
    return goOnForRun('train run', held.run, async () => {
      const ending = await this.attempt(held, context);
      if (held.superseded) return this.lost(held);
      if (ending === 'over') await this.clear(await this.runs.find(held.id));
      return ending;
    });
  }

  /**
   * Ends a run that cannot be trained, with the reason: the one that the message was used for, or else the one that it
   * names, if that is in nobody's hand. A run that is over already, or that does not exist, is left alone. Its training
   * state is kept.
   */
  async giveUp(runId: string, { reason, sequence }: GivenUpContext): Promise<void> {
    if (await this.queue.endedBy(sequence)) return;
    const run = (await this.queue.takenBy({ sequence, runId })) ?? (await this.runs.find(runId));
    const isAnothers = run?.inHand && run.workSequence !== sequence;
    if (run && !isAnothers && !isRunOver(run)) await this.runs.failed(run.id, reason);
  }

  /**
   * Says how a run ended once more: who ended it may have died before it did. What one that failed had come to is kept:
   * hours of work, which its reason may have nothing to do with.
   */
  private async clear(run: Run | undefined): Promise<void> {
    if (!run || !isRunOver(run)) return; // a person may have deleted it as soon as it was over
    await this.runs.tellState(run);
    if (run.state !== RunState.RUN_STATE_FAILED) await this.states.remove(run.id);
  }

  private async attempt(held: HeldRun, context: TrainContext): Promise<Ending> {
    const { manifest, pauseRequested, cancelRequested } = held.run;
    if (cancelRequested) return this.cancelled(held);
    if (pauseRequested) return this.putDown(held, { preempted: false });
    const watch = held.watch();
    const pause = held.watchPause();
    const signal = AbortSignal.any([context.signal, pause.met]);
    try {
      const ending = await this.models.use((models) =>
        this.attempts.train(models, held, manifest, watch.met, { progress: context.progress, signal }),
      );
      if (ending === 'finished') return 'over';
    } catch (error) {
      if (held.superseded) return 'taken over';
      if (watch.met.aborted) return await this.cancelled(held);
      if (error instanceof EncodingMissing) return await this.encodeAgain(held, error);
      if (!signal.aborted) throw error;
    } finally {
      await watch.close();
      await pause.close();
    }
    return this.putDown(held, { preempted: context.signal.aborted });
  }

  /** A run that is paused needs no message until it is resumed, which sends one; any other needs this one. */
  private async putDown(held: HeldRun, how: { preempted: boolean }): Promise<Ending> {
    try {
      const { state } = await held.putDown(how);
      return state === RunState.RUN_STATE_PAUSED || isRunOver({ state }) ? 'over' : 'put down';
    } catch (error) {
      this.logger.warn({ runId: held.id, error: (error as Error).message }, 'could not note that the run was put down');
      return 'put down';
    }
  }

  /** Nothing is held while the encoders are at it: whoever is done with the last of them has the run queued again. */
  private async encodeAgain(held: HeldRun, { message }: EncodingMissing): Promise<Ending> {
    this.logger.warn({ runId: held.id, reason: message }, 'the run waits for the encoders again');
    try {
      await held.encodeAgain();
      return 'over';
    } catch (error) {
      if (held.superseded) return 'taken over';
      throw error;
    }
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

  /** The message is left alone: whoever has the run may have it by this one. If nobody has, it comes again. */
  private lost({ run, fence }: HeldRun): Ending {
    this.logger.warn(
      { runId: run.id, name: run.name, fence },
      'another trainer has taken the run: it is put down here',
    );
    return 'taken over';
  }
}
