import type { IDatasetNote } from '@atelier/contracts';

/** How many are listed; state has to fit into one message. */
const MAX_LISTED = 500;
const MAX_NAME = 1100;
const MAX_TEXT = 600;
/** Captions that are named as the longest. */
const LONGEST = 3;

/** What of a data set was taken in a way that a person might not expect: the first of many by name, the others as a number. */
export class Notes {
  private readonly listed: IDatasetNote[] = [];
  private more = 0;
  private cutCount = 0;
  private readonly longest: { name: string; tokens: number }[] = [];

  add(name: string, text: string): void {
    if (this.listed.length < MAX_LISTED) this.listed.push({ name: short(name, MAX_NAME), text: short(text, MAX_TEXT) });
    else this.more += 1;
  }

  /** @param tokens of its caption, where that is longer than what is trained on; else 0 */
  cut(name: string, tokens: number): void {
    if (tokens === 0) return;
    this.cutCount += 1;
    this.longest.push({ name: short(name, MAX_NAME), tokens });
    this.longest.sort((a, b) => b.tokens - a.tokens);
    this.longest.length = Math.min(this.longest.length, LONGEST);
  }

  /** @param textTokens that are trained on */
  list(textTokens: number): IDatasetNote[] {
    const all = [...this.listed];
    if (this.cutCount > 0) {
      const many = this.cutCount === 1 ? '1 caption is' : `${this.cutCount} captions are`;
      const longest = this.longest.map(({ name, tokens }) => `${name} with ${tokens}`).join(', ');
      const remedy = 'shorten them, or raise ATELIER_TEXT_TOKENS (up to 512)';
      const text = `${many} longer than the ${textTokens} T5 tokens that are read; what comes after that is not trained on: ${longest}. To have all of it, ${remedy}`;
      all.unshift({ name: '', text: short(text, MAX_TEXT * 4) });
    }
    if (this.more > 0) all.push({ name: '…', text: `and ${this.more} more` });
    return all;
  }
}

function short(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length)}…` : text;
}
