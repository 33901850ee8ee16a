import { Injectable } from '@nestjs/common';
import { buckets, latentsKey, promptsKey, Sample, type Dataset, type IRejected, type ITransform } from '@atelier/contracts';
import { BlobStore, TensorStore } from '@atelier/store';
import { DatasetRefused } from './dataset-refused';
import { inOrder } from './in-order';
import { IngestConfig } from './ingest.config';
import type { Identity } from './model-identity';
import { aspectBuckets, SIZE_MULTIPLE, type Size } from './pictures/buckets';
import { composeCaption } from './pictures/caption';
import { encodePng, mirror, preparePicture, type Picture } from './pictures/picture';
import { BadFile, DatasetReader, Spool, type Found, type InputFile } from './readers';

export interface BuiltSamples {
  readonly samples: Sample[];
  readonly duplicates: number;
  readonly rejected: IRejected[];
}

interface Prepared {
  readonly name: string;
  readonly caption: string;
  readonly views: { readonly picture: Picture; readonly mirrored: boolean }[];
}

/** Object of bucket `pictures` that holds the prepared PNG behind a latents key. */
export function preparedPicture(key: string): string {
  return `prepared/${key}.png`;
}

/** Files as uploaded → samples: each picture prepared, stored under its key and paired with its caption's key. */
@Injectable()
export class SampleBuilder {
  constructor(
    private readonly blobs: BlobStore,
    private readonly tensors: TensorStore,
    private readonly config: IngestConfig,
  ) {}

  /**
   * @throws DatasetRefused when the transform cannot be done or no file can be used; the signal's reason when that was
   * raised
   */
  async build(dataset: Dataset, identity: Identity, signal: AbortSignal): Promise<BuiltSamples> {
    const transform = checkTransform(dataset.transform ?? {});
    const spool = await Spool.create(this.config.spoolFolder);
    try {
      const found = new DatasetReader(spool, this.config.limits).read(this.uploads(dataset));
      return await this.collect(found, dataset, transform, identity, signal);
    } finally {
      await spool.remove();
    }
  }

  private uploads(dataset: Dataset): InputFile[] {
    return dataset.files.map(({ name, blob, size }) => ({
      name: name ?? '', size: Number(size ?? 0), open: () => this.blobs.stream(buckets.blobs.pictures, blob ?? ''),
    }));
  }

  private async collect(
    found: AsyncIterable<Found>,
    dataset: Dataset,
    transform: CheckedTransform,
    identity: Identity,
    signal: AbortSignal,
  ): Promise<BuiltSamples> {
    const seen = new Set<string>();
    const samples: Sample[] = [];
    const rejected: IRejected[] = [];
    let duplicates = 0;
    for await (const prepared of inOrder(found, this.config.parallel, (each) => this.prepare(each, dataset.trigger, transform))) {
      signal.throwIfAborted();
      if ('reason' in prepared) {
        rejected.push(prepared);
        continue;
      }
      for (const { picture, mirrored } of prepared.views) {
        const key = this.keyOf(picture, mirrored, identity);
        if (seen.has(key)) {
          duplicates += mirrored ? 0 : 1;
          continue;
        }
        seen.add(key);
        await this.store(key, picture);
        samples.push(toSample(prepared, key, picture, mirrored, identity));
      }
    }
    if (samples.length === 0) throw new DatasetRefused(nothingUsable(rejected));
    return { samples, duplicates, rejected };
  }

  private async prepare(found: Found, trigger: string, transform: CheckedTransform): Promise<Prepared | { name: string; reason: string }> {
    const { name } = found;
    if (found.kind === 'rejected') return { name, reason: found.reason };
    try {
      const caption = composeCaption(found.caption, trigger, this.config.limits.captionBytes);
      const picture = await preparePicture(found.bytes, transform.sizes, this.config.limits.pixels);
      const views = [{ picture, mirrored: false }];
      if (transform.flip) views.push({ picture: await mirror(picture), mirrored: true });
      return { name, caption, views };
    } catch (error) {
      if (!(error instanceof BadFile)) throw error;
      return { name, reason: error.reason };
    }
  }

  private keyOf({ pixels, width, height }: Picture, mirrored: boolean, { vaeFingerprint }: Identity): string {
    return latentsKey({ pixels, width, height, transform: { crop: 'center', flip: mirrored }, vaeFingerprint });
  }

  /** The PNG is only there to be encoded: none is needed where the latents are. */
  private async store(key: string, picture: Picture): Promise<void> {
    const name = preparedPicture(key);
    if ((await this.tensors.has('latents', key)) || (await this.blobs.has(buckets.blobs.pictures, name))) return;
    await this.blobs.put(buckets.blobs.pictures, name, await encodePng(picture));
  }
}

function toSample({ name, caption }: Prepared, key: string, { width, height }: Size, mirrored: boolean, identity: Identity): Sample {
  return Sample.create({
    name: mirrored ? `${name} (mirrored)` : name,
    caption,
    latentsKey: key,
    promptsKey: promptsKey({ caption, maxLength: identity.maxLength, textFingerprint: identity.textFingerprint }),
    width,
    height,
  });
}

interface CheckedTransform {
  readonly sizes: Size[];
  readonly flip: boolean;
}

const MAX_SIDE = 4096;
/** Mean and log-variance take 2 bytes a pixel and travel as one message: 8 MiB. */
const MAX_PIXELS = 2048 * 2048;

function checkTransform(transform: ITransform): CheckedTransform {
  const { width = 0, height = 0, crop, flip, buckets: bucketed } = transform as Required<ITransform>;
  for (const side of [width!, height!]) {
    if (side < SIZE_MULTIPLE || side > MAX_SIDE || side % SIZE_MULTIPLE !== 0) {
      throw new DatasetRefused(`pictures cannot be made ${width} × ${height}: sides are multiples of ${SIZE_MULTIPLE} up to ${MAX_SIDE}`);
    }
  }
  if (width! * height! > MAX_PIXELS) {
    throw new DatasetRefused(`pictures cannot be made ${width} × ${height}: ${width! * height!} pixels are more than the ${MAX_PIXELS} (2048 × 2048) whose latents fit into one message`);
  }
  if (crop && crop !== 'center') throw new DatasetRefused(`crop is ${JSON.stringify(crop)}; "center" is known`);
  const base = { width: width!, height: height! };
  return { sizes: bucketed ? aspectBuckets(base) : [base], flip: Boolean(flip) };
}

function nothingUsable(rejected: IRejected[]): string {
  if (rejected.length === 0) return 'there is no picture in it: add JPEG, PNG, WebP or AVIF files, a metadata.jsonl with pictures, a parquet file, or a .zip or .tar of these';
  const first = rejected.slice(0, 3).map(({ name, reason }) => `${name} ${reason}`).join('; ');
  const more = rejected.length > 3 ? `; and ${rejected.length - 3} more` : '';
  return `none of its files can be used: ${first}${more}`;
}
