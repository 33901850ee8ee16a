import sharp from 'sharp';
import { pngHeader } from '../../test/hostile-files';
import { encodePng, mirror, preparePicture, type Picture } from './picture';

const MILLION = 1_000_000;
const RED = [255, 0, 0];
const BLUE = [0, 0, 255];

/** 64 × 32 with a red left half and a blue right half, as a person sees it. */
async function halves(): Promise<sharp.Sharp> {
  const half = (colour: string) =>
    sharp({ create: { width: 32, height: 32, channels: 3, background: colour } })
      .png()
      .toBuffer();
  return sharp({ create: { width: 64, height: 32, channels: 3, background: 'black' } })
    .composite([
      { input: await half('#ff0000'), left: 0, top: 0 },
      { input: await half('#0000ff'), left: 32, top: 0 },
    ])
    .png()
    .toBuffer()
    .then((bytes) => sharp(bytes));
}

function noise(width: number, height: number): sharp.Sharp {
  return sharp({
    create: { width, height, channels: 3, background: 'grey', noise: { type: 'gaussian', mean: 128, sigma: 40 } },
  });
}

const prepare = (bytes: Buffer, width = 64, height = 32) => preparePicture(bytes, [{ width, height }], 4 * MILLION);

function pixel({ pixels, width }: Picture, x: number, y: number): number[] {
  return [...pixels.subarray((y * width + x) * 3, (y * width + x) * 3 + 3)];
}

function expectNear(found: number[], wanted: number[], tolerance: number): void {
  const worst = Math.max(...found.map((value, channel) => Math.abs(value - wanted[channel]!)));
  if (worst > tolerance)
    throw new Error(`[${found.join(', ')}] is ${worst} away from [${wanted.join(', ')}], ${tolerance} are allowed`);
}

function expectHalves(picture: Picture, tolerance: number): void {
  expect([picture.width, picture.height, picture.pixels.length]).toEqual([64, 32, 64 * 32 * 3]);
  expectNear(pixel(picture, 8, 16), RED, tolerance);
  expectNear(pixel(picture, 56, 16), BLUE, tolerance);
}

describe('orientation', () => {
  const [width, height] = [64, 32];
  // What each EXIF value says: where on the upright picture the stored pixel (x, y) belongs.
  const upright: [number, (x: number, y: number) => [number, number]][] = [
    [1, (x, y) => [x, y]],
    [2, (x, y) => [width - 1 - x, y]],
    [3, (x, y) => [width - 1 - x, height - 1 - y]],
    [4, (x, y) => [x, height - 1 - y]],
    [5, (x, y) => [y, x]],
    [6, (x, y) => [width - 1 - y, x]],
    [7, (x, y) => [width - 1 - y, height - 1 - x]],
    [8, (x, y) => [y, height - 1 - x]],
  ];
  const corner = (x: number, y: number) =>
    y < height / 2 ? (x < width / 2 ? RED : BLUE) : x < width / 2 ? [0, 255, 0] : [255, 255, 255];

  it.each(upright)('%i is turned upright before cropping', async (orientation, place) => {
    const [storedWidth, storedHeight] = orientation < 5 ? [width, height] : [height, width];
    const pixels = Buffer.alloc(width * height * 3);
    for (let y = 0; y < storedHeight; y += 1) {
      for (let x = 0; x < storedWidth; x += 1) pixels.set(corner(...place(x, y)), (y * storedWidth + x) * 3);
    }
    const bytes = await sharp(pixels, { raw: { width: storedWidth, height: storedHeight, channels: 3 } })
      .withMetadata({ orientation })
      .jpeg({ quality: 100, chromaSubsampling: '4:4:4' })
      .toBuffer();
    expect(await sharp(bytes).metadata()).toMatchObject({ orientation, width: storedWidth });
    const picture = await prepare(bytes);
    for (const [x, y] of [
      [8, 8],
      [56, 8],
      [8, 24],
      [56, 24],
    ] as const)
      expectNear(pixel(picture, x, y), corner(x, y), 4);
  });
});

describe('formats', () => {
  it.each([
    ['png', async () => (await halves()).png(), 0],
    ['palette png', async () => (await halves()).png({ palette: true }), 0],
    ['16-bit png', async () => (await halves()).toColourspace('rgb16').png(), 1],
    ['jpeg', async () => (await halves()).jpeg({ quality: 95 }), 6],
    ['progressive jpeg', async () => (await halves()).jpeg({ quality: 95, progressive: true }), 6],
    ['webp', async () => (await halves()).webp({ quality: 95 }), 10],
    ['lossless webp', async () => (await halves()).webp({ lossless: true }), 0],
    ['avif', async () => (await halves()).avif({ quality: 90 }), 10],
    ['tiff', async () => (await halves()).tiff({ compression: 'lzw' }), 0],
    ['gif', async () => (await halves()).gif(), 2],
  ] as [string, () => Promise<sharp.Sharp>, number][])('%s', async (_name, make, tolerance) => {
    expectHalves(await prepare(await (await make()).toBuffer()), tolerance);
  });

  it('CMYK jpeg becomes sRGB, with and without a profile: red stays reddest and blue bluest', async () => {
    for (const profile of [false, true]) {
      let image = (await halves()).toColourspace('cmyk');
      if (profile) image = image.withIccProfile('cmyk');
      const bytes = await image.jpeg().toBuffer();
      expect(await sharp(bytes).metadata()).toMatchObject({ space: 'cmyk', channels: 4 });
      const picture = await prepare(bytes);
      const [red, blue] = [pixel(picture, 8, 16), pixel(picture, 56, 16)];
      expect(red.indexOf(Math.max(...red))).toBe(0);
      expect(red[0]).toBeGreaterThan(180);
      expect(blue.indexOf(Math.max(...blue))).toBe(2);
    }
  });

  it('a wide-gamut profile is converted to sRGB, not dropped', async () => {
    const source = sharp({ create: { width: 32, height: 32, channels: 3, background: { r: 120, g: 160, b: 90 } } });
    const bytes = await source.withIccProfile('p3').png().toBuffer();
    const stored = [...(await sharp(bytes, { ignoreIcc: true }).raw().toBuffer()).subarray(0, 3)];
    expect(stored).not.toEqual([120, 160, 90]);
    expectNear(pixel(await prepare(bytes, 32, 32), 5, 5), [120, 160, 90], 2);
  });

  it.each(['b-w', 'grey16'])('%s becomes three equal channels', async (space) => {
    const bytes = await noise(64, 32).toColourspace(space).png().toBuffer();
    const picture = await prepare(bytes);
    expect(picture.pixels).toHaveLength(64 * 32 * 3);
    for (let x = 0; x < 64; x += 7) expect(new Set(pixel(picture, x, 9)).size).toBe(1);
  });

  it('alpha is laid over white, before resizing, so that hidden colours do not bleed in', async () => {
    const clear = { r: 255, g: 0, b: 0, alpha: 0 };
    const bytes = await sharp({ create: { width: 128, height: 64, channels: 4, background: clear } })
      .png()
      .toBuffer();
    const half = await sharp({
      create: { width: 64, height: 32, channels: 4, background: { r: 0, g: 0, b: 0, alpha: 0.5 } },
    })
      .png()
      .toBuffer();
    expect(new Set((await prepare(bytes)).pixels)).toEqual(new Set([255]));
    expectNear(pixel(await prepare(half), 3, 3), [127, 127, 127], 1);
  });
});

describe('crop and resize', () => {
  it('covers the size and crops at the centre', async () => {
    // 32 red, 64 blue, 32 red columns: the middle square is all blue.
    const bytes = await sharp(
      await (await halves()).extract({ left: 32, top: 0, width: 32, height: 32 }).png().toBuffer(),
    )
      .resize(64, 32, { fit: 'fill' })
      .extend({ left: 32, right: 32, background: '#ff0000' })
      .png()
      .toBuffer();
    const picture = await prepare(bytes, 32, 32);
    for (const x of [2, 16, 29]) expectNear(pixel(picture, x, 16), BLUE, 3);
  });

  it('takes the bucket of the upright picture', async () => {
    const sizes = [
      { width: 64, height: 32 },
      { width: 32, height: 64 },
    ];
    const lying = await sharp(await (await halves()).rotate(270).png().toBuffer())
      .withMetadata({ orientation: 6 })
      .jpeg()
      .toBuffer();
    expect(await preparePicture(lying, sizes, MILLION)).toMatchObject({ width: 64, height: 32 });
  });

  it('is the same to the byte every time, and survives PNG and mirroring twice', async () => {
    const bytes = await noise(301, 203).jpeg().toBuffer();
    const [first, second] = [await prepare(bytes), await prepare(bytes)];
    expect(first.pixels.equals(second.pixels)).toBe(true);
    const decoded = await sharp(await encodePng(first))
      .raw()
      .toBuffer();
    expect(decoded.equals(first.pixels)).toBe(true);
    const mirrored = await mirror(first);
    expect(pixel(mirrored, 0, 5)).toEqual(pixel(first, 63, 5));
    expect((await mirror(mirrored)).pixels.equals(first.pixels)).toBe(true);
  });
});

describe('bad files are refused with the reason', () => {
  it.each([
    ['zero bytes', async () => Buffer.alloc(0), 'is empty (zero bytes)'],
    [
      'text',
      async () => Buffer.from('this is no picture'),
      'is text and not a picture: its download may have failed; copy or download it again',
    ],
    [
      'a truncated jpeg',
      async () => cut(await noise(300, 200).jpeg().toBuffer()),
      'cannot be decoded as a picture: VipsJpeg: premature end',
    ],
    ['a truncated png', async () => cut(await noise(300, 200).png().toBuffer()), 'cannot be decoded as a picture'],
    ['a truncated webp', async () => cut(await noise(300, 200).webp().toBuffer()), 'cannot be decoded as a picture'],
    ['a truncated avif', async () => cut(await noise(300, 200).avif().toBuffer()), 'cannot be decoded as a picture'],
    [
      'svg, which can load other files',
      async () => Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'),
      'is SVG, which is a drawing program and no picture: save it as JPEG or PNG',
    ],
    [
      'a Git LFS pointer',
      async () => Buffer.from('version https://git-lfs.github.com/spec/v1\noid sha256:0\n'),
      'run "git lfs pull"',
    ],
    [
      'HEIC',
      async () => Buffer.from('\0\0\0\x18ftypheic\0\0\0\0mif1heic'),
      'is HEIC, as iPhones take it, whose codec is not free to be shipped: export it as JPEG',
    ],
    [
      'JPEG XL',
      async () => Buffer.from('ff0a00100050', 'hex'),
      'is JPEG XL, which is not read: save it as JPEG or PNG',
    ],
    ['JPEG XL in a container', async () => Buffer.from('0000000c4a584c200d0a870a', 'hex'), 'is JPEG XL'],
    [
      'BMP',
      async () => Buffer.from('424d46000000000000003600', 'hex'),
      'is BMP, which is not read: save it as JPEG or PNG',
    ],
    [
      'a web page',
      async () => Buffer.from('<!DOCTYPE html>\n<html><body>Sign in</body></html>'),
      'is a web page and not a picture',
    ],
    [
      'a zip',
      async () => Buffer.from('504b030414000000', 'hex'),
      'is a zip archive: give it a name that ends with .zip',
    ],
    [
      'more pixels than allowed',
      async () => noise(2100, 2000).png().toBuffer(),
      'has 2100 × 2000 pixels; 4 million are allowed',
    ],
    [
      'a png of 50,000 × 50,000 in a few bytes',
      async () => pngHeader(50_000, 50_000),
      'has 50000 × 50000 pixels; 4 million are allowed',
    ],
  ] as [string, () => Promise<Buffer>, string][])('%s', async (_name, make, reason) => {
    await expect(prepare(await make())).rejects.toThrow(reason);
  });

  it('each with its own, though many good and bad ones are decoded at once', async () => {
    const [good, jpeg, png] = [
      await noise(300, 200).png().toBuffer(),
      cut(await noise(300, 200).jpeg().toBuffer()),
      cut(await noise(300, 200).png().toBuffer()),
    ];
    const all = Array.from({ length: 120 }, (_, at) => [good, jpeg, png][at % 3]!);
    const told = await Promise.all(
      all.map((bytes) =>
        prepare(bytes).then(
          () => 'fine',
          (error: Error) => error.message,
        ),
      ),
    );
    for (const [at, message] of told.entries())
      expect(message).toMatch([/^fine$/, /VipsJpeg: premature end/, /pngload|libspng|spng/][at % 3]!);
  });

  function cut(bytes: Buffer): Buffer {
    return bytes.subarray(0, Math.floor(bytes.length / 2));
  }
});

describe('what becomes of a picture', () => {
  const noteOf = async (width: number, height: number, size: number) => {
    const bytes = await noise(width, height).png().toBuffer();
    return (await preparePicture(bytes, [{ width: size, height: size }], 4_000_000)).note;
  };

  it('is told where it is scaled up a lot, or hardly any of it is left', async () => {
    expect(await noteOf(1, 1, 64)).toBe('has 1 × 1 pixels and was scaled up 64 times for 64 × 64');
    expect(await noteOf(8, 8, 64)).toBe('has 8 × 8 pixels and was scaled up 8 times for 64 × 64');
    expect(await noteOf(2000, 10, 64)).toBe(
      'has 2000 × 10 pixels and was scaled up 6.4 times and keeps 1 % of itself after cropping for 64 × 64',
    );
    expect(await noteOf(300, 900, 64)).toBeUndefined();
    expect(await noteOf(24, 20, 64)).toBeUndefined();
  });
});
