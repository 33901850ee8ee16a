import type { Tensor } from '@atelier/checkpoint';

/** (channels, H, W) to (H/2 · W/2, 4 · channels): a token holds a 2 × 2 patch as channel, row, column. */
export function packed({ shape, data }: Tensor): Tensor {
  const [channels, height, width] = shape.slice(-3) as [number, number, number];
  const tokens = new Float32Array(data.length);
  let at = 0;
  for (let y = 0; y < height; y += 2) {
    for (let x = 0; x < width; x += 2) {
      for (let c = 0; c < channels; c++) {
        for (let k = 0; k < 4; k++) tokens[at++] = data[(c * height + y + (k >> 1)) * width + x + (k & 1)]!;
      }
    }
  }
  return { shape: [(height / 2) * (width / 2), 4 * channels], data: tokens };
}

/** Tokens of a latent's rows and columns. */
export function gridOf({ shape }: Tensor): { gridH: number; gridW: number } {
  const [height, width] = shape.slice(-2) as [number, number];
  return { gridH: height / 2, gridW: width / 2 };
}
