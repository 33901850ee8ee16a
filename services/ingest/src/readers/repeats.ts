import { fileKind } from './file-kind';
import { baseOf, folderOf } from './paths';

export interface Repeats {
  readonly times: number;
  /** The class that kohya's scripts caption pictures with which have no caption. */
  readonly words: string;
}

/** A folder that is named "2024_summer" means a year. */
const MOST_REPEATS = 500;

/** What kohya's scripts read from the name of a picture's folder: "10_sks tower" is 10 repeats of the class "sks tower". */
export function repeatsOf(picture: string): Repeats | undefined {
  const folder = baseOf(folderOf(picture).slice(0, -1));
  const [, times, words] = /^(\d{1,3})_(.*\S.*)$/.exec(folder) ?? [];
  // An archive is no folder of theirs: "002_train.tar" is the second part of something.
  if (words === undefined || fileKind(folder) === 'archive') return undefined;
  if (Number(times) < 1 || Number(times) > MOST_REPEATS) return undefined;
  return { times: Number(times), words: words.replaceAll('_', ' ').trim() };
}

/** What is told of such folders, once each. */
export function* repeatedFolders(
  pictures: readonly { readonly name: string }[],
): Generator<{ name: string; text: string }> {
  const told = new Set<string>();
  for (const { name } of pictures) {
    const folder = folderOf(name).slice(0, -1);
    const repeats = repeatsOf(name);
    if (!repeats || told.has(folder)) continue;
    told.add(folder);
    const { times, words } = repeats;
    const often = `each of its pictures counts ${times === 1 ? 'once' : `${times} times`}`;
    yield {
      name: folder,
      text: `is named as kohya's scripts have it: ${often}, and "${words}" is the caption of those without one`,
    };
  }
}
