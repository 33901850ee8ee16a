/** How much there is of a kind, or was cleared. */
export interface Counted {
  kind: string;
  count: number;
  bytes: number;
}

export interface Clearing {
  bytes: number;
  remove: () => Promise<unknown>;
}

const TOLD_MS = 5000;

/** Takes things away and counts them by kind; in a dry run it counts alone. */
export class Tally {
  private readonly byKind = new Map<string, Counted>();
  private told = Date.now();

  constructor(
    readonly dryRun: boolean,
    private readonly goesOn: () => Promise<void> = () => Promise.resolve(),
  ) {}

  get cleared(): Counted[] {
    return [...this.byKind.values()];
  }

  async clear(kind: string, things: readonly Clearing[]): Promise<void> {
    for (const { bytes, remove } of things) {
      if (!this.dryRun) await remove();
      const sum = this.byKind.get(kind) ?? { kind, count: 0, bytes: 0 };
      this.byKind.set(kind, { kind, count: sum.count + 1, bytes: sum.bytes + bytes });
      if (Date.now() - this.told < TOLD_MS) continue;
      this.told = Date.now();
      await this.goesOn();
    }
  }
}
