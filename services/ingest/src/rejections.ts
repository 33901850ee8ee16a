import type { IRejected } from '@atelier/contracts';

/** How many unusable files a data set lists by name; state has to fit into one message. */
const MAX_LISTED = 1000;
/** Longest name and reason: parts of both come from the file. */
const MAX_NAME = 1100;
const MAX_REASON = 600;

/** The files of a data set that cannot be used, and why: the first of many by name, the others as a number. */
export class Rejections {
  private readonly listed: IRejected[] = [];
  private total = 0;
  /** Pictures among them. */
  pictures = 0;

  add(name: string, reason: string, pictures: number): void {
    this.total += 1;
    this.pictures += pictures;
    if (this.listed.length < MAX_LISTED)
      this.listed.push({ name: short(name, MAX_NAME), reason: short(reason, MAX_REASON), picture: pictures > 0 });
  }

  get count(): number {
    return this.total;
  }

  list(): IRejected[] {
    const more = this.total - this.listed.length;
    return more === 0
      ? this.listed
      : [...this.listed, { name: '…', reason: `and ${more} more files that cannot be used` }];
  }

  /** Why there is not one sample, in a sentence. */
  asRefusal(): string {
    if (this.total === 0) {
      return 'there is no picture in it: add JPEG, PNG, WebP or AVIF files, a metadata.jsonl with pictures, a parquet file, or a .zip or .tar of these';
    }
    const first = this.listed
      .slice(0, 3)
      .map(({ name, reason }) => `${name} ${reason}`)
      .join('; ');
    const more = this.total > 3 ? `; and ${this.total - 3} more` : '';
    return `none of its files can be used: ${first}${more}`;
  }
}

function short(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length)}…` : text;
}
