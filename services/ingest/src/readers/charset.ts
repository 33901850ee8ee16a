import { decode as decodeBytes, getDecoder } from 'iconv-lite';
import { detectAll } from 'jschardet';
import { BadFile } from './bad-file';

/** Encodings that people's captions are in where they are not in UTF-8, as the detector and as TextDecoder call them. */
const ENCODINGS: Readonly<Record<string, string>> = {
  GB18030: 'gb18030',
  Big5: 'big5',
  CP932: 'shift_jis',
  CP949: 'euc-kr',
  'EUC-JP': 'euc-jp',
  'Windows-1252': 'windows-1252',
  'Windows-1251': 'windows-1251',
  'Windows-1250': 'windows-1250',
};

/** How people know them. */
const SHOWN: Readonly<Record<string, string>> = {
  gb18030: 'GBK (GB18030)',
  big5: 'Big5',
  shift_jis: 'Shift-JIS',
  'euc-kr': 'EUC-KR (CP949)',
  'euc-jp': 'EUC-JP',
  'windows-1252': 'Windows-1252 (cp1252)',
  'windows-1251': 'Windows-1251',
  'windows-1250': 'Windows-1250',
};

/** Of a zip file's names, which are short, and of which those in Western Europe are code page 437. */
const NAME_ENCODINGS = ['GB18030', 'Big5', 'CP932', 'CP949'];
/** Less than this is no more than chance. */
const LEAST_NAME_CONFIDENCE = 0.03;

/** What of many texts is looked at. */
const LOOKED_AT = 64 * 1024;
/** Of two that are as likely as each other the more common one is meant. */
const AS_LIKELY = 0.5;

export const shownEncoding = (encoding: string): string => SHOWN[encoding] ?? encoding;

export function isUtf8(bytes: Uint8Array): boolean {
  return decoded('utf-8', bytes) !== undefined;
}

/**
 * The encoding that bytes are in which are not UTF-8: a guess, which gets better the more of them there are, and is
 * told to whoever gave them. Undefined where they are no text, or in none that is known.
 */
export function detectEncoding(bytes: Uint8Array): string | undefined {
  const looked = bytes.subarray(0, LOOKED_AT);
  if (isBinary(looked)) return undefined;
  const found = detectAll(looked, { detectEncodings: Object.keys(ENCODINGS), minimumThreshold: 0 })
    .map(({ encoding, confidence }) => ({ encoding: ENCODINGS[encoding ?? ''], confidence }))
    .filter(({ encoding }) => encoding !== undefined && decoded(encoding, bytes) !== undefined);
  const [first] = found;
  if (!first) return undefined;
  const likely = found.filter(({ confidence }) => confidence >= first.confidence * AS_LIKELY);
  return (likely.find(({ encoding }) => encoding === 'windows-1252') ?? first).encoding;
}

/** The encoding of an East Asian system that names are in; undefined where nothing speaks for one. */
export function detectNameEncoding(bytes: Uint8Array): string | undefined {
  const looked = bytes.subarray(0, LOOKED_AT);
  const detectEncodings = [...NAME_ENCODINGS, 'cp437'];
  const [first] = detectAll(looked, { detectEncodings, minimumThreshold: 0 });
  if (!first?.encoding || first.confidence < LEAST_NAME_CONFIDENCE) return undefined;
  return NAME_ENCODINGS.includes(first.encoding) ? ENCODINGS[first.encoding] : undefined;
}

/** Node's own TextDecoder takes Windows-1252 for ISO-8859-1, which has no curly quotes. */
const isSingleByte = (encoding: string): boolean => encoding.startsWith('windows-');

/** What a decoder writes for what its encoding has no place for. */
const NO_PLACE = /[\u0080-\u009f\ufffd]/;

/** The text, or undefined where the bytes are not in that encoding. */
export function decoded(encoding: string, bytes: Uint8Array): string | undefined {
  try {
    if (!isSingleByte(encoding)) return new TextDecoder(encoding, { fatal: true }).decode(bytes);
    const text = decodeBytes(Buffer.from(bytes), encoding);
    return NO_PLACE.test(text) ? undefined : text;
  } catch {
    return undefined;
  }
}

/** The same of bytes that come in pieces. It throws where they are not in that encoding. */
export function pieceDecoder(encoding: string): (piece?: Uint8Array) => string {
  if (!isSingleByte(encoding)) {
    const decoder = new TextDecoder(encoding, { fatal: true });
    return (piece) => decoder.decode(piece ?? new Uint8Array(), { stream: piece !== undefined });
  }
  const decoder = getDecoder(encoding);
  return (piece) => {
    const text = piece ? decoder.write(Buffer.from(piece)) : (decoder.end() ?? '');
    if (NO_PLACE.test(text)) throw noText();
    return text;
  };
}

/** Text has no such bytes in any of these encodings. */
function isBinary(bytes: Uint8Array): boolean {
  return bytes.some((byte) => byte < 0x20 && ![0x09, 0x0a, 0x0c, 0x0d, 0x1a, 0x1b].includes(byte));
}

/** By the byte order mark, which needs two bytes to be seen. */
export function markedEncoding(bytes: Uint8Array): 'utf-16le' | 'utf-16be' | undefined {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return 'utf-16le';
  return bytes[0] === 0xfe && bytes[1] === 0xff ? 'utf-16be' : undefined;
}

export const noText = (): BadFile =>
  new BadFile(
    'is not text in UTF-8, UTF-16 with a byte order mark, or another encoding that is known: save it as UTF-8',
  );
