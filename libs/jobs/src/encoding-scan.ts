/** What became of a key: its tensors are there, they will not come and why, or that is not known yet. */
export type Fate = 'there' | 'pending' | { readonly refused: string };

/** Questions to the store at once, while one after the other is settled. */
const MOST_AT_ONCE = 32;

/**
 * Goes through keys until one is pending, and on from there the next time. So each key is asked about once or twice
 * however many there are and however often it is looked at; nothing but the store says what is there, and a scan that is
 * begun anew comes to the same.
 */
export class EncodingScan {
  readonly refused = new Map<string, string>();
  private at = 0;
  private atOnce = 1;

  constructor(
    private readonly keys: readonly string[],
    private readonly fateOf: (key: string) => Promise<Fate>,
  ) {}

  /** Whether no key is pending. One at a time. */
  async isSettled(): Promise<boolean> {
    while (this.at < this.keys.length) {
      const part = this.keys.slice(this.at, this.at + this.atOnce);
      const fates = await Promise.all(part.map((key) => this.fateOf(key)));
      for (const [index, fate] of fates.entries()) {
        if (fate === 'pending') {
          this.atOnce = 1;
          return false;
        }
        if (fate !== 'there') this.refused.set(part[index]!, fate.refused);
        this.at += 1;
      }
      this.atOnce = Math.min(2 * this.atOnce, MOST_AT_ONCE);
    }
    return true;
  }
}
