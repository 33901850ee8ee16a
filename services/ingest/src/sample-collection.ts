import { buckets, promptsKey, Sample } from '@atelier/contracts';
import type { BlobStore, TensorStore } from '@atelier/store';
import type { Identity } from './model-identity';
import type { EncodedView, ReadSample, View } from './reading/messages';
import type { Taker } from './reading/reading';
import { Rejections } from './rejections';

/** Object of bucket `pictures` that holds the prepared PNG behind a latents key. */
export function preparedPicture(key: string): string {
  return `prepared/${key}.png`;
}

/**
 * What is read of a data set, as it comes: each picture stored under its key and paired with its caption's key, once.
 */
export class SampleCollection implements Taker {
  readonly samples: Sample[] = [];
  readonly rejections = new Rejections();
  duplicates = 0;
  private readonly seen = new Set<string>();

  constructor(
    private readonly blobs: BlobStore,
    private readonly tensors: TensorStore,
    private readonly identity: Identity,
  ) {}

  rejected(name: string, reason: string): void {
    this.rejections.add(name, reason);
  }

  async wanted({ views }: ReadSample): Promise<string[]> {
    const wanted: string[] = [];
    for (const { key } of views) {
      if (!this.seen.has(key) && !wanted.includes(key) && (await this.isMissing(key))) wanted.push(key);
    }
    return wanted;
  }

  async take(read: ReadSample, pictures: readonly EncodedView[]): Promise<void> {
    for (const { key, png } of pictures) await this.blobs.put(buckets.blobs.pictures, preparedPicture(key), png);
    for (const view of read.views) {
      if (this.seen.has(view.key)) {
        this.duplicates += view.mirrored ? 0 : 1;
        continue;
      }
      this.seen.add(view.key);
      this.samples.push(this.sampleOf(read, view));
    }
  }

  /** The PNG is only there to be encoded: none is needed where the latents are. */
  private async isMissing(key: string): Promise<boolean> {
    return (
      !(await this.tensors.has('latents', key)) && !(await this.blobs.has(buckets.blobs.pictures, preparedPicture(key)))
    );
  }

  private sampleOf({ name, caption }: ReadSample, { key, width, height, mirrored }: View): Sample {
    const { maxLength, textFingerprint } = this.identity;
    return Sample.create({
      name: mirrored ? `${name} (mirrored)` : name,
      caption,
      latentsKey: key,
      promptsKey: promptsKey({ caption, maxLength, textFingerprint }),
      width,
      height,
    });
  }
}
