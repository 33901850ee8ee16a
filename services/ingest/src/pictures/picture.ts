import sharp from 'sharp';
import { BadFile } from '../readers/bad-file';
import { together, withItsOwnError } from './decoding';
import { nearestBucket, type Size } from './buckets';
import { notAPicture } from './signature';

/** Pixels ready for the VAE: oriented, sRGB, 8 bits, no alpha, cropped and resized. */
export interface Picture extends Size {
  /** Interleaved RGB, rows from the top: width × height × 3 bytes. */
  readonly pixels: Buffer;
  /** What a person should know of what it was made of. */
  readonly note?: string;
}

/** What libvips calls the formats that are taken. SVG and PDF are not pictures but programs that draw. */
const FORMATS = new Set(['jpeg', 'png', 'webp', 'heif', 'tiff', 'gif']);
const WHITE = { r: 255, g: 255, b: 255 };

/**
 * Decodes a picture of any orientation, colour space, depth and alpha, and brings it to the nearest of `sizes`
 * by aspect ratio: scaled to cover it (Lanczos), cropped at the centre.
 * @param sizes one size, or buckets of one area
 * @param maxPixels refuses a larger picture before any of it is decoded
 * @throws BadFile with the reason when the bytes are not a whole picture that can be taken
 */
export async function preparePicture(bytes: Buffer, sizes: readonly Size[], maxPixels: number): Promise<Picture> {
  const source = await inspect(bytes, maxPixels);
  const { width, height } = nearestBucket(source, sizes);
  const note = changeNote(source, { width, height });
  const image = () =>
    sharp(bytes, { failOn: 'error', limitInputPixels: maxPixels })
      .autoOrient()
      .flatten({ background: WHITE })
      .resize({ width, height, fit: 'cover', position: 'centre', kernel: 'lanczos3', fastShrinkOnLoad: false })
      .toColourspace('srgb')
      .removeAlpha()
      .raw({ depth: 'uchar' });
  const { data, info } = await decode(bytes, () => image().toBuffer({ resolveWithObject: true }));
  if (info.channels !== 3) throw new BadFile(`decodes to ${info.channels} channels where RGB has 3`);
  return { pixels: data, width, height, note };
}

/** Scaled up more than so often, a picture is a blur of its pixels. */
const MUCH_SCALED = 4;
/** Less than this share of a picture that is left is not what its caption is about. */
const LITTLE_LEFT = 0.25;

/** What a person should know of what becomes of a picture at that size. */
function changeNote(source: Size, { width, height }: Size): string | undefined {
  const scale = Math.max(width / source.width, height / source.height);
  const left = (width * height) / (source.width * source.height * scale * scale);
  const is = `has ${source.width} × ${source.height} pixels`;
  const times = scale >= 10 ? Math.round(scale) : Number(scale.toFixed(1));
  const said = [
    ...(scale > MUCH_SCALED ? [`was scaled up ${times} times`] : []),
    ...(left < LITTLE_LEFT ? [`keeps ${Math.max(1, Math.round(left * 100))} % of itself after cropping`] : []),
  ];
  return said.length === 0 ? undefined : `${is} and ${said.join(' and ')} for ${width} × ${height}`;
}

/** Mirrored left to right. */
export async function mirror({ pixels, width, height }: Picture): Promise<Picture> {
  const mirrored = raw({ pixels, width, height }).flop().raw();
  return { pixels: await together(() => mirrored.toBuffer()), width, height };
}

/** PNG, lossless: what the latents service decodes. */
export async function encodePng(picture: Picture): Promise<Buffer> {
  return together(() => raw(picture).png({ compressionLevel: 3 }).toBuffer());
}

function raw({ pixels, width, height }: Picture): sharp.Sharp {
  return sharp(pixels, { raw: { width, height, channels: 3 } });
}

/** Format and size from the header alone. @returns the size as shown, after orientation */
async function inspect(bytes: Buffer, maxPixels: number): Promise<Size> {
  if (bytes.length === 0) throw new BadFile('is empty (zero bytes): copy it again');
  const header = await decode(bytes, () => sharp(bytes, { limitInputPixels: false }).metadata());
  if (!header.format || !FORMATS.has(header.format)) {
    const known = notAPicture(bytes);
    if (known !== undefined) throw new BadFile(known);
    throw new BadFile(`is ${header.format ?? 'of an unknown format'}; JPEG, PNG, WebP, AVIF, TIFF and GIF are read`);
  }
  const { width, height } = header.autoOrient;
  if (width * height > maxPixels) {
    throw new BadFile(
      `has ${width} × ${height} pixels; ${Math.floor(maxPixels / 1e6)} million are allowed: make it smaller`,
    );
  }
  return { width, height };
}

async function decode<T>(bytes: Buffer, work: () => Promise<T>): Promise<T> {
  try {
    return await withItsOwnError(work);
  } catch (error) {
    const known = notAPicture(bytes);
    if (known !== undefined) throw new BadFile(known);
    throw new BadFile(
      `cannot be decoded as a picture: ${firstLine(error)}. Copy it again, or save it anew as JPEG or PNG`,
    );
  }
}

/** libvips repeats itself over many lines, one for each library it went through. */
function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0]!.trim();
}
