import { BadFile } from '../readers/bad-file';
import { formatBytes } from '../readers/format-bytes';

/**
 * The caption a sample is trained with: what came with the picture, made one line in NFC, with the trigger
 * phrase in front unless it is in there already; the trigger alone where nothing came.
 * @throws BadFile when there is neither, when the caption is longer than `limit` bytes, or when it holds NUL characters,
 *   which text does not: it is another kind of file, or UTF-16 without a byte order mark
 */
export function composeCaption(given: string | undefined, trigger: string, limit: number): string {
  if (given !== undefined && Buffer.byteLength(given) > limit) {
    throw new BadFile(`its caption has ${formatBytes(Buffer.byteLength(given))}; ${formatBytes(limit)} are allowed`);
  }
  if (given?.includes('\0')) throw new BadFile('its caption holds NUL characters, so it is not text: save it as UTF-8');
  const caption = oneLine(given ?? '');
  const phrase = oneLine(trigger);
  if (caption === '' && phrase === '') {
    const what = given === undefined ? 'has no caption' : 'has an empty caption';
    throw new BadFile(`${what}: write one into a .txt file beside it or into metadata.jsonl, or give a trigger phrase`);
  }
  if (caption === '') return phrase;
  if (phrase === '' || caption.toLowerCase().includes(phrase.toLowerCase())) return caption;
  return `${phrase}, ${caption}`;
}

function oneLine(text: string): string {
  // eslint-disable-next-line no-control-regex -- those are what a caption loses here
  const gaps = /[\u0000-\u001f\u007f\s]+/g;
  return text.normalize('NFC').replace(gaps, ' ').trim();
}
