import { buckets, promptsKey, Sample } from '@atelier/contracts';
import type { BlobStore, TensorStore } from '@atelier/store';
import type { Identity } from './model-identity';
import type { EncodedView, ReadSample, View } from './reading/messages';
import type { Taker } from './reading/reading';
import { Notes } from './notes';
import { proportions } from './proportions';
import { Rejections } from './rejections';

/** Object of bucket `pictures` that holds the prepared PNG behind a latents key. */
export function preparedPicture(key: string): string {
  return `prepared/${key}.png`;
}

/**
 * What is read of a data set, as it comes: each picture stored under its key and paired with its captions' keys, each
 * pair once. One picture with two captions is two samples of one key.
 */
export class SampleCollection implements Taker {
  readonly rejections = new Rejections();
  readonly notes = new Notes();
  /** Pictures that are used or there twice. */
  pictures = 0;
  /** Pictures that are there twice, with the same caption. */
  duplicates = 0;
  private readonly kept: { sample: Sample; repeats: number }[] = [];
  private readonly pairs = new Set<string>();
  /** By latents key: the first picture of these pixels. */
  private readonly first = new Map<string, string>();

  constructor(
    private readonly blobs: BlobStore,
    private readonly tensors: TensorStore,
    private readonly identity: Identity,
  ) {}

  /** Those that count more than once stand there as often, in proportion. */
  get samples(): Sample[] {
    const { times, note } = proportions(this.kept.map(({ repeats }) => repeats));
    if (note !== undefined) this.notes.add('', note);
    return this.kept.flatMap(({ sample }, index) => Array.from({ length: times[index]! }, () => sample));
  }

  /** Different ones. */
  get count(): number {
    return this.kept.length;
  }

  rejected(name: string, reason: string, pictures: number): void {
    this.rejections.add(name, reason, pictures);
  }

  note(name: string, text: string): void {
    this.notes.add(name, text);
  }

  async wanted({ views }: ReadSample): Promise<string[]> {
    const wanted: string[] = [];
    for (const { key } of views) {
      if (!this.first.has(key) && !wanted.includes(key) && (await this.isMissing(key))) wanted.push(key);
    }
    return wanted;
  }

  async take(read: ReadSample, pictures: readonly EncodedView[]): Promise<void> {
    for (const { key, png } of pictures) await this.blobs.put(buckets.blobs.pictures, preparedPicture(key), png);
    this.pictures += 1;
    for (const text of read.notes) this.notes.add(read.name, text);
    for (const { tokens } of read.captions) this.notes.cut(read.name, tokens);
    const [shown] = read.views;
    const original = shown && this.first.get(shown.key);
    const added = read.views.flatMap((view) =>
      read.captions.map(({ text }, index) => this.add(read, view, text, index)),
    );
    if (original === undefined || original === read.name) return;
    if (!added.includes(true)) this.duplicates += 1;
    else this.notes.add(read.name, `is the same picture as ${original} with another caption: both captions are used`);
  }

  /** @returns whether it is new */
  private add(read: ReadSample, view: View, caption: string, index: number): boolean {
    const sample = this.sampleOf(read, view, caption, index);
    const pair = `${sample.latentsKey} ${sample.promptsKey}`;
    if (!this.first.has(view.key)) this.first.set(view.key, read.name);
    if (this.pairs.has(pair)) return false;
    this.pairs.add(pair);
    this.kept.push({ sample, repeats: read.repeats });
    return true;
  }

  /** The PNG is only there to be encoded: none is needed where the latents are. */
  private async isMissing(key: string): Promise<boolean> {
    return (
      !(await this.tensors.has('latents', key)) && !(await this.blobs.has(buckets.blobs.pictures, preparedPicture(key)))
    );
  }

  private sampleOf({ name }: ReadSample, view: View, caption: string, index: number): Sample {
    const { key, width, height, mirrored } = view;
    const { maxLength, textFingerprint } = this.identity;
    const which = [...(index > 0 ? [`caption ${index + 1}`] : []), ...(mirrored ? ['mirrored'] : [])];
    return Sample.create({
      name: which.length > 0 ? `${name} (${which.join(', ')})` : name,
      caption,
      latentsKey: key,
      promptsKey: promptsKey({ caption, maxLength, textFingerprint }),
      width,
      height,
      source: name,
      mirrored,
    });
  }
}
