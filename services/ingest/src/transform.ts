import { cropOf, crops, type ITransform } from '@atelier/contracts';
import { DatasetRefused } from './dataset-refused';
import { aspectBuckets, SIZE_MULTIPLE, type Size } from './pictures/buckets';

export interface CheckedTransform {
  readonly sizes: Size[];
  readonly flip: boolean;
}

const MAX_SIDE = 4096;
/** Mean and log-variance take 2 bytes a pixel and travel as one message: 8 MiB. */
const MAX_PIXELS = 2048 * 2048;

/** @throws DatasetRefused when it cannot be done */
export function checkTransform(transform: ITransform): CheckedTransform {
  const { width, height, flip, buckets: bucketed } = transform as Required<ITransform>;
  for (const side of [width!, height!]) {
    if (side < SIZE_MULTIPLE || side > MAX_SIDE || side % SIZE_MULTIPLE !== 0) {
      throw new DatasetRefused(
        `pictures cannot be made ${width} × ${height}: sides are multiples of ${SIZE_MULTIPLE} up to ${MAX_SIDE}`,
      );
    }
  }
  if (width! * height! > MAX_PIXELS) {
    throw new DatasetRefused(
      `pictures cannot be made ${width} × ${height}: ${width! * height!} pixels are more than the ${MAX_PIXELS} (2048 × 2048) whose latents fit into one message`,
    );
  }
  const crop = cropOf(transform);
  if (crops.every((known) => known !== crop))
    throw new DatasetRefused(
      `crop is ${JSON.stringify(crop)}; ${crops.map((known) => `"${known}"`).join(', ')} is known`,
    );
  const base = { width: width!, height: height! };
  return { sizes: bucketed ? aspectBuckets(base) : [base], flip: Boolean(flip) };
}
