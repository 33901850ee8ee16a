import type { StreamedEvent } from '@atelier/jobs';

interface Step {
  step: number;
  at: number;
}

/** The steps of one run or drawing as they are told. */
export class Heard {
  private readonly steps: Step[] = [];
  private waiting: (() => void)[] = [];
  private readonly end: Promise<void>;
  private ended = false;

  constructor(events: AsyncIterable<StreamedEvent>) {
    this.end = this.listen(events);
    this.end.catch(() => undefined); // said by whoever waits
  }

  private async listen(events: AsyncIterable<StreamedEvent>): Promise<void> {
    try {
      for await (const { event } of events) {
        const step = event.runStep?.step ?? event.generateProgress?.step;
        if (step === undefined || step === null) continue;
        this.steps.push({ step, at: Date.now() });
        this.wake();
      }
    } finally {
      this.ended = true;
      this.wake();
    }
  }

  private wake(): void {
    for (const wake of this.waiting.splice(0)) wake();
  }

  /** The last that was told. */
  get last(): number {
    return Math.max(0, ...this.steps.map(({ step }) => step));
  }

  /** The longest time between two steps, ms. */
  get longestGap(): number {
    return Math.max(0, ...this.steps.slice(1).map(({ at }, before) => at - this.steps[before]!.at));
  }

  /** Steps that were taken again: how far back each next one was that was told after a later one. */
  get lost(): number {
    const back = this.steps.map(({ step }, at) => Math.max(0, (this.steps[at - 1]?.step ?? 0) - step + 1));
    return back.reduce((sum, steps) => sum + steps, 0);
  }

  get isOver(): boolean {
    return this.ended;
  }

  over(): Promise<void> {
    return this.end;
  }

  async reached(step: number): Promise<void> {
    if (!(await this.found((each) => each.step >= step))) throw new Error(`it was over before step ${step}`);
  }

  /** Resolves with the moment at which a step later than that was told, or the end where none came. ms since 1970. */
  async later(than: number): Promise<number> {
    const step = await this.found(({ step: told }) => told > than);
    return step?.at ?? Date.now();
  }

  /** undefined: it was over before. */
  private async found(fits: (step: Step) => boolean): Promise<Step | undefined> {
    for (;;) {
      const step = this.steps.find(fits);
      if (step || this.ended) return step;
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    }
  }
}
