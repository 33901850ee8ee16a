import { Inject, Injectable } from '@nestjs/common';
import type { HeldRun } from '@atelier/jobs';
import { LOGGER, ServiceStatus, type Logger, type WorkContext } from '@atelier/mesh';
import type { Models } from '@atelier/models';
import { Interruption } from './interruption';
import { Manifests } from './manifests';
import { SampleFetcher } from './run-samples';
import { RunTrainingState } from './run-training-state';
import { TrainingRun } from './training-run';
import { TrainingStates } from './training-states';
import { Workshop } from './workshop';

/** One try of a run: its samples, what an earlier try left, and the training itself. */
@Injectable()
export class TrainingAttempts {
  constructor(
    private readonly manifests: Manifests,
    private readonly fetcher: SampleFetcher,
    private readonly states: TrainingStates,
    private readonly workshop: Workshop,
    private readonly status: ServiceStatus,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /**
   * @param ended raised when the run is to end at once
   * @param context its signal is raised when the service is to stop
   */
  async train(
    models: Models,
    held: HeldRun,
    manifest: string,
    ended: AbortSignal,
    { progress, signal }: Pick<WorkContext, 'progress' | 'signal'>,
  ): Promise<'finished' | 'put down'> {
    ended.throwIfAborted();
    const { samples: all } = await this.manifests.read(manifest, models.checkpoint);
    const { run } = held;
    const { found, recovered } = await this.states.load(held);
    if (recovered) await progress();
    const state = this.stateOf(held, found, progress);
    const interruption = new Interruption(ended, signal);
    try {
      return await this.fetcher.use(held, all, state.found, interruption, (samples) => {
        const goesOn = state.found && `goes on with ${run.name} at step ${state.found.step}`;
        this.status.detail = `${goesOn ?? `trains ${run.name}`} (run ${run.id})`;
        if (!state.found) this.workshop.metrics.skipped.inc(run.leftOut.length);
        const facts = { runId: run.id, name: run.name, samples: all.length, step: state.found?.step ?? 0 };
        this.logger.info(facts, 'training');
        return new TrainingRun(this.workshop, models, held, samples, state, interruption).train();
      });
    } finally {
      this.status.detail = '';
    }
  }

  private stateOf(held: HeldRun, found: RunTrainingState['found'], progress: () => Promise<void>): RunTrainingState {
    return new RunTrainingState(this.states, held, found, {
      saved: progress,
      unsaved: (step, savedStep, reason) =>
        this.logger.warn(
          { runId: held.id, step, savedStep, reason },
          'the training state is not saved: the run trains on, and would go on from the one before',
        ),
    });
  }
}
