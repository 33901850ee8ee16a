interface Waiting<Item, Result> {
  item: Item;
  resolve: (result: Result) => void;
  reject: (error: unknown) => void;
}

/**
 * One piece of work at a time, on all items that have come meanwhile, up to `most`. Each caller gets its own item's result: where work on several
 * fails each is tried alone, so that nobody suffers from another's item.
 */
export class Gather<Item, Result> {
  private readonly waiting: Waiting<Item, Result>[] = [];
  private busy = false;

  /** @param work gives a result for each item, in their order */
  constructor(
    private readonly most: number,
    private readonly work: (items: Item[]) => Promise<Result[]>,
  ) {}

  run(item: Item): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ item, resolve, reject });
      void this.drain();
    });
  }

  private async drain(): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    while (this.waiting.length > 0) await this.settle(this.waiting.splice(0, this.most));
    this.busy = false;
  }

  private async settle(all: Waiting<Item, Result>[]): Promise<void> {
    try {
      const results = await this.work(all.map(({ item }) => item));
      all.forEach(({ resolve }, at) => resolve(results[at]!));
    } catch (error) {
      if (all.length === 1) all[0]!.reject(error);
      else for (const one of all) await this.settle([one]);
    }
  }
}
