import type { Trainer } from '@atelier/engine';
import type { HeldRun } from '@atelier/jobs';
import { isStoreFull } from '@atelier/mesh';
import type { PictureLosses } from './picture-losses';
import type { SampleFlow } from './sample-flow';
import type { TrainingState } from './training-state';
import type { TrainingStates } from './training-states';

/** Where a run is among its samples. */
type Place = Pick<SampleFlow, 'position' | 'skipped'> & { losses: Pick<PictureLosses, 'saved'> };

const placeOf = ({ position, skipped, losses }: Place): Pick<TrainingState, 'position' | 'skipped' | 'pictures'> => ({
  position,
  skipped: [...skipped],
  pictures: losses.saved(),
});

interface SavingListener {
  /** Called after each state that was saved. */
  saved: () => Promise<void>;
  /** The state of a step could not be kept; that of `savedStep` is. */
  unsaved: (step: number, savedStep: number, reason: string) => void;
}

/** The training state of one run: what it goes on from, and what is saved of it as it gets further. */
export class RunTrainingState {
  private savedStep: number;

  constructor(
    private readonly states: TrainingStates,
    private readonly held: HeldRun,
    /** Where an earlier try had come to. */
    readonly found: TrainingState | undefined,
    private readonly listener: SavingListener,
  ) {
    this.savedStep = found?.step ?? 0;
  }

  async restore(trainer: Trainer): Promise<void> {
    if (!this.found) return;
    try {
      await trainer.loadState(this.found.engine);
    } catch (error) {
      // The next try begins anew: it comes to the same adapter, only later.
      await this.states.discard(this.held.run);
      throw new Error(`the training state of run ${this.held.id} cannot be used: ${(error as Error).message}`, {
        cause: error,
      });
    }
  }

  /**
   * Nothing where no step was taken since: a first sample that waits is then asked for again. In a full store the
   * earlier state stays, and the run goes on: saving is tried again when it is due, and nothing but a stop before then
   * costs the steps in between.
   */
  async save(trainer: Trainer, samples: Place): Promise<void> {
    const { step } = trainer;
    if (step === this.savedStep) return;
    const engine = await trainer.saveState();
    try {
      await this.states.save(this.held, { engine, step, ...placeOf(samples) });
      this.savedStep = step;
    } catch (error) {
      if (!isStoreFull(error)) throw error;
      this.listener.unsaved(step, this.savedStep, (error as Error).message);
      return;
    }
    await this.listener.saved();
  }

  /** When the service is asked to stop. */
  async putDown(trainer: Trainer, samples: Place): Promise<void> {
    const { step } = trainer;
    if (step === this.savedStep) return;
    const engine = await trainer.saveState();
    try {
      const where = await this.states.putDown(this.held, { engine, step, ...placeOf(samples) });
      if (where === 'saved') await this.listener.saved();
    } catch (error) {
      if (!isStoreFull(error)) throw error;
      this.listener.unsaved(step, this.savedStep, (error as Error).message);
    }
  }
}
