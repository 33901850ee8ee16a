import type { StepResult } from '@atelier/engine';
import type { Run } from '@atelier/contracts';
import type { HeldRun } from '@atelier/jobs';
import { noteInSpan } from '@atelier/mesh';
import type { TrainMetrics } from './train.metrics';

/** Every step is an event; the run's state is written at most so often. */
const STATE_EVERY_MS = 1000;
/** Steps whose mean time the estimate rests on. */
const RECENT = 20;

/** Tells how a run goes on: an event a step, the state now and then, the time that is left. */
export class StepReport {
  private readonly recent: number[] = [];
  private written = 0;
  private unwritten?: Pick<Run, 'step' | 'loss' | 'learningRate'>;

  constructor(
    private readonly held: HeldRun,
    private readonly metrics: TrainMetrics,
    private readonly totalSteps: number,
  ) {}

  /** @param loss mean over the step's samples */
  async step({ step, lr, gradNorm }: StepResult, loss: number, stepSeconds: number): Promise<void> {
    this.recent.push(stepSeconds);
    if (this.recent.length > RECENT) this.recent.shift();
    const mean = this.recent.reduce((sum, seconds) => sum + seconds, 0) / this.recent.length;
    const etaSeconds = mean * (this.totalSteps - step);
    this.metrics.stepSeconds.observe(stepSeconds);
    this.metrics.loss.set(loss);
    this.metrics.steps.inc();
    noteInSpan('step', { 'atelier.run.step': step, 'atelier.run.loss': loss, 'atelier.run.step_seconds': stepSeconds });
    await this.held.step({
      step,
      totalSteps: this.totalSteps,
      loss,
      learningRate: lr,
      gradNorm,
      stepSeconds,
      etaSeconds,
    });
    this.unwritten = { step, loss, learningRate: lr };
    if (Date.now() - this.written >= STATE_EVERY_MS) await this.flush();
  }

  /** Writes what the state does not say yet. */
  async flush(): Promise<void> {
    if (!this.unwritten) return;
    await this.held.progress(this.unwritten);
    this.unwritten = undefined;
    this.written = Date.now();
  }
}
