import { type Picture, SIDE } from './nano';

/**
 * How far pictures have gone from one style to another, by colour and edge statistics alone: 0 where the first style's pictures lie, 1 where
 * the second's do. Blind to what is drawn, since both were measured on the same scenes.
 */
export class StyleMeasure {
  private readonly from: number[];
  private readonly along: number[];

  constructor(from: readonly Picture[], to: readonly Picture[]) {
    const a = from.map(statistics);
    const b = to.map(statistics);
    this.from = mean(a);
    const towards = mean(b).map((value, i) => value - this.from[i]!);
    // Each statistic counts by its steadiness within the styles; together they give 1 at the second style's middle.
    const spread = this.from.map((_, i) => variance(a, i) + variance(b, i) + 1e-6);
    const weights = towards.map((distance, i) => distance / spread[i]!);
    const length = weights.reduce((sum, weight, i) => sum + weight * towards[i]!, 0);
    this.along = weights.map((weight) => weight / length);
  }

  of(picture: Picture): number {
    return statistics(picture).reduce((sum, value, i) => sum + (value - this.from[i]!) * this.along[i]!, 0);
  }

  mean(pictures: readonly Picture[]): number {
    return pictures.reduce((sum, picture) => sum + this.of(picture), 0) / pictures.length;
  }
}

/** Mean colour of the rim and of the middle, mean saturation, share of dark pixels, strength of edges; each about 0 to 1. */
function statistics(rgb: Picture): number[] {
  const rim = [0, 0, 0];
  const middle = [0, 0, 0];
  let [rims, saturation, dark, edges] = [0, 0, 0, 0];
  const light = (pixel: number) => (rgb[3 * pixel]! + rgb[3 * pixel + 1]! + rgb[3 * pixel + 2]!) / 765;
  for (let y = 0; y < SIDE; y += 1) {
    for (let x = 0; x < SIDE; x += 1) {
      const pixel = y * SIDE + x;
      const colour = [rgb[3 * pixel]!, rgb[3 * pixel + 1]!, rgb[3 * pixel + 2]!].map((value) => value / 255);
      const atRim = Math.min(x, y, SIDE - 1 - x, SIDE - 1 - y) < 8;
      if (atRim) rims += 1;
      for (let c = 0; c < 3; c += 1) (atRim ? rim : middle)[c]! += colour[c]!;
      const most = Math.max(...colour);
      saturation += most > 0 ? (most - Math.min(...colour)) / most : 0;
      if (light(pixel) < 0.3) dark += 1;
      if (x > 0 && y > 0)
        edges += Math.abs(light(pixel) - light(pixel - 1)) + Math.abs(light(pixel) - light(pixel - SIDE));
    }
  }
  const pixels = SIDE * SIDE;
  return [
    ...rim.map((sum) => sum / rims),
    ...middle.map((sum) => sum / (pixels - rims)),
    saturation / pixels,
    dark / pixels,
    (5 * edges) / pixels,
  ];
}

function mean(rows: readonly number[][]): number[] {
  return rows[0]!.map((_, i) => rows.reduce((sum, row) => sum + row[i]!, 0) / rows.length);
}

function variance(rows: readonly number[][], i: number): number {
  const middle = rows.reduce((sum, row) => sum + row[i]!, 0) / rows.length;
  return rows.reduce((sum, row) => sum + (row[i]! - middle) ** 2, 0) / rows.length;
}
