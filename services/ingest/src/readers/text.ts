import { decoded, detectEncoding, isUtf8, markedEncoding, noText, pieceDecoder, shownEncoding } from './charset';
import { readWithin, type InputFile } from './input-file';

export interface DecodedText {
  readonly text: string;
  /** What a person should know of how it was read. */
  readonly note?: string;
}

/**
 * Text as people save it: UTF-8 with or without a byte order mark, UTF-16 with one, or what it is found to be in.
 * @param likely the encoding that was found for others of its kind
 * @throws BadFile when it is none of these, rather than training on garbled words
 */
export function readText(bytes: Uint8Array, likely?: string): DecodedText {
  const marked = markedEncoding(bytes);
  const text = decoded(marked ?? 'utf-8', bytes);
  if (text !== undefined) return { text };
  if (marked) throw noText();
  for (const encoding of [likely, detectEncoding(bytes)]) {
    const found = encoding && decoded(encoding, bytes);
    if (encoding && found !== undefined) return { text: found, note: detectedNote(encoding) };
  }
  throw noText();
}

/** The text alone, which has to be UTF-8 or UTF-16: of names and cells that are said to be so. */
export function decodeText(bytes: Uint8Array): string {
  const text = decoded(markedEncoding(bytes) ?? 'utf-8', bytes);
  if (text === undefined) throw noText();
  return text;
}

export const detectedNote = (encoding: string): string =>
  `is not in UTF-8 and was read as ${shownEncoding(encoding)}, which was detected: if its words are wrong, save it as UTF-8`;

/** How much of a long file the detector gets: its first lines that are not ASCII. */
const EVIDENCE_BYTES = 64 * 1024;

/** How far into a long file is looked: a list of a hundred thousand captions, but not all that someone has packed small. */
const LOOKED_AT_BYTES = 16 * 1024 * 1024;

/** The encoding of a file that is too long to be one string, from its beginning; what comes after has to be in it as well. */
export async function encodingOf(file: InputFile, limit: number): Promise<{ encoding: string; note?: string }> {
  let first: Buffer = Buffer.alloc(0);
  const evidence: Buffer[] = [];
  let size = 0;
  let looked = 0;
  const utf8 = new TextDecoder('utf-8', { fatal: true });
  let isUtf = true;
  for await (const chunk of readWithin(file, limit)) {
    if (first.length < 2) first = Buffer.concat([first, chunk.subarray(0, 2)]);
    if (isUtf) isUtf = decodes(utf8, chunk);
    if (size < EVIDENCE_BYTES && chunk.some((byte) => byte >= 0x80)) {
      evidence.push(chunk.subarray(0, EVIDENCE_BYTES - size));
      size += evidence.at(-1)!.length;
    }
    looked += chunk.length;
    if (looked >= LOOKED_AT_BYTES) break;
  }
  const marked = markedEncoding(first);
  if (marked) return { encoding: marked };
  // Where the look ended before the file did, it may have been within a character.
  if (isUtf && (looked >= LOOKED_AT_BYTES || decodes(utf8))) return { encoding: 'utf-8' };
  const bytes = Buffer.concat(evidence);
  // The evidence may end within a character, which is no reason to rule its encoding out.
  const whole = bytes.subarray(0, bytes.lastIndexOf(0x0a) + 1 || bytes.length);
  const encoding = isUtf8(whole) ? undefined : detectEncoding(whole);
  if (!encoding) throw noText();
  return { encoding, note: detectedNote(encoding) };
}

function decodes(decoder: InstanceType<typeof TextDecoder>, chunk?: Uint8Array): boolean {
  try {
    decoder.decode(chunk ?? new Uint8Array(), { stream: chunk !== undefined });
    return true;
  } catch {
    return false;
  }
}

/** Text of a file that is too long to be one string. */
export async function* decodeChunks(chunks: AsyncIterable<Uint8Array>, encoding: string): AsyncGenerator<string> {
  const decoder = pieceDecoder(encoding);
  const decode = (chunk?: Uint8Array): string => {
    try {
      return decoder(chunk);
    } catch {
      throw noText();
    }
  };
  for await (const chunk of chunks) yield decode(chunk);
  yield decode();
}
