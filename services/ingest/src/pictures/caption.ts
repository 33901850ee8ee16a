import { BadFile } from '../readers/bad-file';
import { formatBytes } from '../readers/format-bytes';

/**
 * The caption a sample is trained with: what came with the picture, made one line in NFC, with the trigger
 * phrase in front unless its words are in there already; the trigger alone where nothing came.
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
  if (phrase === '' || holdsPhrase(caption, phrase)) return caption;
  return `${phrase}, ${caption}`;
}

/** A letter that a word goes on with; marks belong to the letter they stand on. Some scripts write words without spaces. */
const UNSPACED = ['Han', 'Hiragana', 'Katakana', 'Thai', 'Lao', 'Khmer', 'Myanmar'];
const LETTER = `(?:(?![${UNSPACED.map((script) => `\\p{Script=${script}}`).join('')}])[\\p{L}\\p{N}\\p{M}_])`;
const BEGINS_WITH_LETTER = new RegExp(`^${LETTER}`, 'u');
const ENDS_WITH_LETTER = new RegExp(`${LETTER}$`, 'u');

/** As whole words: "party" does not hold "art". */
function holdsPhrase(caption: string, phrase: string): boolean {
  const literal = phrase.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
  // Only a letter can go on as one: of a phrase in brackets the brackets are its ends.
  const before = BEGINS_WITH_LETTER.test(phrase) ? `(?<!${LETTER})` : '';
  const after = ENDS_WITH_LETTER.test(phrase) ? `(?!${LETTER})` : '';
  return new RegExp(before + literal + after, 'iu').test(caption);
}

function oneLine(text: string): string {
  // eslint-disable-next-line no-control-regex -- those are what a caption loses here
  const gaps = /[\u0000-\u001f\u007f\s]+/g;
  return text.normalize('NFC').replace(gaps, ' ').trim();
}
