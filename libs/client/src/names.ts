import { randomBytes } from 'node:crypto';
import { AtelierError, BASE_MODEL, isName, NAME_PATTERN, NAME_RULE } from '@atelier/contracts';

export { isName, NAME_PATTERN, NAME_RULE };

/** Ids that newId() makes. They sort by the time they were made, and are safe wherever a name is. */
const ID_PATTERN = /^[a-z]{2,12}-[0-9a-z]{17}$/;

export function checkName(what: string, text: string): string {
  if (!isName(text)) {
    throw new AtelierError(
      'INVALID_ARGUMENT',
      `${what} ${JSON.stringify(text.slice(0, 80))} is not a name: use ${NAME_RULE}`,
    );
  }
  return text;
}

/** A name that an adapter can be asked for by everywhere: `model` of OpenAI's image route has a word of its own. */
export function checkAdapterName(text: string): string {
  checkName('adapter name', text);
  if (text === BASE_MODEL) {
    throw new AtelierError(
      'INVALID_ARGUMENT',
      `adapter name ${JSON.stringify(text)} means the checkpoint with no adapter, where a model is asked for: choose another`,
    );
  }
  return text;
}

/** The nearest name to any text, for defaults taken from a folder or a title: "Art Nouveau!" → "art-nouveau". */
export function nameFrom(text: string): string {
  const name = text
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .replace(/[^a-z0-9_]+/g, '-')
    .replace(/^[-_]+|[-_]+$/g, '')
    .slice(0, 63);
  return isName(name) ? name : 'unnamed';
}

/** A new id, `<kind>-<9 characters of time><8 random>`: unique, and sorted by time as text. */
export function newId(kind: IdKind, now: number = Date.now(), random: Uint8Array = randomBytes(8)): string {
  const end = [...random.subarray(0, 8)].map((byte) => (byte % 36).toString(36)).join('');
  return `${kind}-${now.toString(36).padStart(9, '0')}${end}`;
}

type IdKind = 'dataset' | 'run' | 'gen' | 'webhook';

/**
 * What makes a request that is asked once more the same request: all tries of it give what they make the same id, so
 * that a try finds what an earlier one came to before its asker or its gateway was cut off.
 */
export interface Repeatable {
  id: string;
  /** It was done to its end before: what it made and is not there any more was deleted since. */
  done: boolean;
}

/** Ids by the time of a request's first try and the digest of its key. */
export function repeatable(kind: IdKind, firstAt: Date, digest: Uint8Array, done: boolean): Repeatable {
  return { id: newId(kind, firstAt.getTime(), digest), done };
}

/** Whether a text may be used as a key at all: an id of ours or a name. Anything else is answered "not found" unasked. */
export function isKey(text: string): boolean {
  return ID_PATTERN.test(text) || isName(text);
}
