/** FLUX packs 2 × 2 patches of a latent that is an eighth of the picture: sizes are multiples of 16. */
export const SIZE_MULTIPLE = 16;

/** No bucket is more than this many times wider than high, or higher than wide. */
export const MAX_ASPECT = 4;

export interface Size {
  readonly width: number;
  readonly height: number;
}

/**
 * All sizes (multiples of 16) that hold at most the area of `base` and fill it as far as the grid allows, from
 * the narrowest to the widest. Never more than the area, because a run's memory is planned from it.
 */
export function aspectBuckets(base: Size): Size[] {
  const area = base.width * base.height;
  const buckets: Size[] = [{ ...base }];
  for (let width = SIZE_MULTIPLE; width * SIZE_MULTIPLE <= area; width += SIZE_MULTIPLE) {
    const height = Math.floor(area / width / SIZE_MULTIPLE) * SIZE_MULTIPLE;
    if (width > height * MAX_ASPECT || height > width * MAX_ASPECT) continue;
    if (width !== base.width) buckets.push({ width, height });
  }
  return buckets.sort((a, b) => a.width - b.width);
}

/**
 * The bucket whose aspect ratio is nearest to the picture's, measured on the logarithm so that 2:1 and 1:2 are
 * equally far from a square. Of two equally near ones the larger wins, then the wider.
 */
export function nearestBucket(picture: Size, buckets: readonly Size[]): Size {
  const wanted = Math.log(picture.width / picture.height);
  const distance = (size: Size) => Math.abs(Math.log(size.width / size.height) - wanted);
  return buckets.reduce((best, size) => {
    const gain = distance(best) - distance(size);
    if (Math.abs(gain) > 1e-12) return gain > 0 ? size : best;
    return size.width * size.height >= best.width * best.height ? size : best;
  });
}
