import sharp from 'sharp';
import type { Tensor } from '@atelier/checkpoint';
import { AtelierError } from '@atelier/contracts';

/** As ingest leaves it: oriented, sRGB, cropped and resized. Rows from the top, interleaved RGB: width × height × 3 bytes. */
export interface PreparedPicture {
  readonly pixels: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** Throws DATA_LOSS when the bytes are not a whole picture of exactly that size. */
export async function decodePrepared(
  png: Uint8Array,
  { width, height }: { width: number; height: number },
): Promise<PreparedPicture> {
  const spoilt = (what: string): AtelierError =>
    new AtelierError('DATA_LOSS', `its prepared picture ${what}: start the run again, which prepares it anew`);
  const decoded = await sharp(png, { failOn: 'error', limitInputPixels: width * height })
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true })
    .catch((error: Error) => {
      throw spoilt(`cannot be decoded (${error.message.split('\n')[0]!.trim()})`);
    });
  const { info, data } = decoded;
  if (info.width !== width || info.height !== height || info.channels !== 3) {
    throw spoilt(
      `has ${info.width} × ${info.height} pixels of ${info.channels} channels where ${width} × ${height} of 3 were announced`,
    );
  }
  return { pixels: data, width, height };
}

/** (3, H, W) of -1..1, as the VAE takes it. */
export function toTensor({ pixels, width, height }: PreparedPicture): Tensor {
  const plane = width * height;
  const data = new Float32Array(3 * plane);
  for (let at = 0; at < plane; at++) {
    for (let channel = 0; channel < 3; channel++) data[channel * plane + at] = pixels[at * 3 + channel]! / 127.5 - 1;
  }
  return { shape: [3, height, width], data };
}
