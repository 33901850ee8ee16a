import { BadFile } from './bad-file';

type Decoder = InstanceType<typeof TextDecoder>;

/** By the byte order mark, which needs two bytes to be seen; without one it is UTF-8. */
function decoderFor(bytes: Uint8Array): Decoder {
  const encoding =
    bytes[0] === 0xff && bytes[1] === 0xfe ? 'utf-16le' : bytes[0] === 0xfe && bytes[1] === 0xff ? 'utf-16be' : 'utf-8';
  return new TextDecoder(encoding, { fatal: true });
}

function decode(decoder: Decoder, bytes: Uint8Array, stream: boolean): string {
  try {
    return decoder.decode(bytes, { stream });
  } catch {
    throw new BadFile('is not text in UTF-8 (or UTF-16 with a byte order mark): save it as UTF-8');
  }
}

/**
 * Text as people save it: UTF-8 with or without a byte order mark, or UTF-16 with one.
 * @throws BadFile when it is neither, rather than training on garbled words.
 */
export function decodeText(bytes: Uint8Array): string {
  return decode(decoderFor(bytes), bytes, false);
}

/** The same of a file that is too long to be one string. */
export async function* decodeChunks(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let first = Buffer.alloc(0);
  let decoder: Decoder | undefined;
  for await (const chunk of chunks) {
    if (decoder) {
      yield decode(decoder, chunk, true);
      continue;
    }
    first = Buffer.concat([first, chunk]);
    if (first.length < 2) continue;
    decoder = decoderFor(first);
    yield decode(decoder, first, true);
  }
  yield decoder ? decode(decoder, new Uint8Array(), false) : decodeText(first);
}
