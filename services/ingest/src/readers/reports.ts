import type { Found } from './input-file';

/**
 * Reports on what cannot be used: the first of many each by name, the rest as one number, so that memory stays what it
 * is.
 */
export class Reports {
  private readonly listed: Found[] = [];
  private more = 0;

  /**
   * @param name of the report on the rest. @param rest what those are that are not listed: "lines that cannot be used"
   */
  constructor(
    private readonly most: number,
    private readonly name: string,
    private readonly rest: string,
  ) {}

  /** Whether there is room for one more; the reason of one that is not listed need not be found. */
  get listing(): boolean {
    return this.listed.length < this.most;
  }

  add(name: string, reason: string): void {
    if (this.listing) this.listed.push({ kind: 'rejected', name, reason });
    else this.more += 1;
  }

  all(): Found[] {
    if (this.more === 0) return this.listed;
    return [
      ...this.listed,
      { kind: 'rejected', name: this.name, reason: `and ${this.more.toLocaleString('en')} more ${this.rest}` },
    ];
  }
}
