import { aspectBuckets, nearestBucket } from './buckets';

describe('aspect-ratio buckets', () => {
  const base = { width: 512, height: 512 };
  const buckets = aspectBuckets(base);

  it('are multiples of 16, never above the area and never below it by more than one row of the grid', () => {
    for (const { width, height } of buckets) {
      expect([width % 16, height % 16]).toEqual([0, 0]);
      expect(width * height).toBeLessThanOrEqual(512 * 512);
      expect(width * (height + 16)).toBeGreaterThan(512 * 512);
    }
  });

  it('hold the base itself, once, and stay within 1:4 and 4:1', () => {
    expect(buckets.filter(({ width }) => width === 512)).toEqual([base]);
    for (const { width, height } of buckets) expect(Math.max(width / height, height / width)).toBeLessThanOrEqual(4);
  });

  it.each([
    [
      { width: 4000, height: 4000 },
      { width: 512, height: 512 },
    ],
    [
      { width: 3000, height: 2000 },
      { width: 624, height: 416 },
    ],
    [
      { width: 2000, height: 3000 },
      { width: 416, height: 624 },
    ],
    [
      { width: 10000, height: 100 },
      { width: 1024, height: 256 },
    ],
  ])('put a picture of %o into %o', (picture, bucket) => {
    expect(nearestBucket(picture, buckets)).toEqual(bucket);
  });

  it('leave no choice where there is one size', () => {
    expect(nearestBucket({ width: 9, height: 1 }, [base])).toBe(base);
  });
});
