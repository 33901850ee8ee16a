import { BadFile } from './bad-file';
import { printable } from './paths';

/** Names that captions go by, in lists, in .json files and as columns; the first that is there counts. */
export const CAPTION_FIELDS = ['text', 'caption', 'captions', 'prompt', 'txt', 'description'];

/** What to do where captions go by another name. */
export const NAME_THE_COLUMN = 'name the one that holds the captions with --caption-column (caption_column)';

/** How many names of fields or columns a message lists. */
const LISTED = 20;

export function listed(names: readonly string[]): string {
  if (names.length === 0) return 'none';
  const shown = names.slice(0, LISTED).map(printable).join(', ');
  return names.length > LISTED ? `${shown} and ${names.length - LISTED} more` : shown;
}

/**
 * The captions of a row or of a .json file: a text, or a list of texts.
 * @param column the field that a person named
 * @throws BadFile with the fields that are there
 */
export function captionsIn(row: object, column: string): string[] {
  const fields = row as Record<string, unknown>;
  const wanted = column === '' ? CAPTION_FIELDS : [column];
  const there = wanted.filter((name) => Object.hasOwn(fields, name) && fields[name] !== null);
  if (there.length === 0) {
    const what = column === '' ? `has none of the fields ${wanted.join(', ')}` : `has no field ${printable(column)}`;
    throw new BadFile(`${what}; it has: ${listed(Object.keys(fields))}. ${firstLarge(NAME_THE_COLUMN)}`);
  }
  for (const name of there) {
    const captions = textsOf(fields[name]);
    if (captions) return captions;
  }
  throw new BadFile(`has a ${there[0]} that is neither a text nor a list of texts`);
}

/** One text or several; undefined for anything else. */
function textsOf(value: unknown): string[] | undefined {
  if (typeof value === 'string') return [value];
  if (!Array.isArray(value)) return undefined;
  const texts = value.filter((each): each is string => typeof each === 'string');
  return texts.length === value.length && texts.length > 0 ? texts : undefined;
}

export const firstLarge = (text: string): string => `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`;
