/** What bytes are that are not a picture which is read here, and what to do about it. */
interface Kind {
  readonly is: (head: Buffer, text: string) => boolean;
  readonly reason: string;
}

const JPEG_OR_PNG = 'save it as JPEG or PNG';
const startsWith = (hex: string) => (head: Buffer) => head.subarray(0, hex.length / 2).equals(Buffer.from(hex, 'hex'));
/** ISO media: the brands stand after "ftyp". */
const hasBrand = (brands: RegExp) => (head: Buffer) =>
  head.toString('latin1', 4, 8) === 'ftyp' && brands.test(head.toString('latin1', 8, 64));
const saysItIs = (pattern: RegExp) => (_head: Buffer, text: string) => pattern.test(text);

const KINDS: readonly Kind[] = [
  {
    is: saysItIs(/^version https:\/\/git-lfs\.github\.com\/spec\//),
    reason:
      'is a Git LFS pointer and not the picture itself: run "git lfs pull" where it was cloned, then upload again',
  },
  {
    is: (head) => hasBrand(/hei[cxms]|hev[cxms]|mif1|msf1/)(head) && !hasBrand(/avi[fs]/)(head),
    reason: 'is HEIC, as iPhones take it, whose codec is not free to be shipped: export it as JPEG',
  },
  { is: startsWith('ff0a'), reason: `is JPEG XL, which is not read: ${JPEG_OR_PNG}` },
  { is: startsWith('0000000c4a584c20'), reason: `is JPEG XL, which is not read: ${JPEG_OR_PNG}` },
  { is: startsWith('0000000c6a502020'), reason: `is JPEG 2000, which is not read: ${JPEG_OR_PNG}` },
  { is: startsWith('ff4fff51'), reason: `is JPEG 2000, which is not read: ${JPEG_OR_PNG}` },
  { is: startsWith('424d'), reason: `is BMP, which is not read: ${JPEG_OR_PNG}` },
  { is: startsWith('38425053'), reason: `is a Photoshop document: ${JPEG_OR_PNG}` },
  { is: startsWith('00000100'), reason: `is an icon (ICO), which is not read: ${JPEG_OR_PNG}` },
  {
    is: startsWith('25504446'),
    reason: 'is a PDF, which is a document and no picture: save its pictures as JPEG or PNG',
  },
  {
    is: saysItIs(/^\s*(<\?xml[^>]*>\s*)?(<!--[\s\S]*?-->\s*)*(<!DOCTYPE svg[^>]*>\s*)?<svg[\s>]/i),
    reason: `is SVG, which is a drawing program and no picture: ${JPEG_OR_PNG} at the size it is meant to have`,
  },
  {
    is: saysItIs(/^\s*(<!--[\s\S]*?-->\s*)*<(!doctype html|html|head|body)[\s>]/i),
    reason: 'is a web page and not a picture: its download failed or needs a login; download it again',
  },
  { is: startsWith('504b0304'), reason: 'is a zip archive: give it a name that ends with .zip' },
  { is: startsWith('1f8b'), reason: 'is packed with gzip: unpack it' },
  { is: hasBrand(/isom|mp4|M4V|qt {2}|avc1|iso\d/), reason: 'is a video: save single pictures of it as JPEG or PNG' },
  { is: startsWith('1a45dfa3'), reason: 'is a video: save single pictures of it as JPEG or PNG' },
  {
    is: saysItIs(/^[\s\x20-\x7e]{1,512}$/),
    reason: 'is text and not a picture: its download may have failed; copy or download it again',
  },
];

/** How far a comment before the first tag may reach. */
const HEAD_BYTES = 1024;

/** @returns why such bytes are not read as a picture; undefined where they are of no kind that is known */
export function notAPicture(bytes: Buffer): string | undefined {
  const head = bytes.subarray(0, HEAD_BYTES);
  const text = head.toString('latin1').replace(/^\u00ef\u00bb\u00bf/, '');
  return KINDS.find(({ is }) => is(head, text))?.reason;
}
