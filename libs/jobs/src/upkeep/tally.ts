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

  get counted(): Counted[] {
    return [...this.byKind.values()];
  }

  count(kind: string, bytes: number, count = 1): void {
    const sum = this.byKind.get(kind) ?? { kind, count: 0, bytes: 0 };
    this.byKind.set(kind, { kind, count: sum.count + count, bytes: sum.bytes + bytes });
  }

  async clear(kind: string, things: readonly Clearing[]): Promise<void> {
    for (const { bytes, remove } of things) {
      if (!this.dryRun) await remove();
      this.count(kind, bytes);
      if (Date.now() - this.told < TOLD_MS) continue;
      this.told = Date.now();
      await this.goesOn();
    }
  }
}
