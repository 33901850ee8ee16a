import { BadFile } from './bad-file';

/**
 * Text as people save it: UTF-8 with or without a byte order mark, or UTF-16 with one.
 * @throws BadFile when it is neither, rather than training on garbled words.
 */
export function decodeText(bytes: Uint8Array): string {
  const encoding = bytes[0] === 0xff && bytes[1] === 0xfe ? 'utf-16le' : bytes[0] === 0xfe && bytes[1] === 0xff ? 'utf-16be' : 'utf-8';
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch {
    throw new BadFile('is not text in UTF-8 (or UTF-16 with a byte order mark): save it as UTF-8');
  }
}
