import { cropFields, latentsKey } from '@atelier/contracts';
import { composeCaption } from '../../pictures/caption';
import { mirror, preparePicture, type Picture } from '../../pictures/picture';
import { BadFile, type Found, type InHand } from '../../readers';
import type { FromReader, ReadCaption, ReadingJob, ReadSample, View } from '../messages';
import type { TokenCounter } from './token-counter';

export interface Prepared extends ReadSample {
  readonly kind: 'sample';
  readonly views: readonly (View & { readonly picture: Picture })[];
}

/** What is told of a file in place of a sample. */
export type Told = Extract<FromReader, { kind: 'rejected' | 'note' }>;

type Wanted = Pick<ReadingJob, 'limits' | 'trigger' | 'sizes' | 'flip' | 'vaeFingerprint'> & {
  readonly count: TokenCounter;
};

/** A picture brought to its size and given its keys, or why that cannot be done. */
export async function prepare(found: Found, wanted: Wanted, inHand: InHand): Promise<Prepared | Told> {
  const { name } = found;
  if (found.kind === 'note') return found;
  if (found.kind === 'rejected') return { kind: 'rejected', name, reason: found.reason, pictures: found.pictures ?? 0 };
  try {
    return await inHand.over(name, async () => {
      const { bytes, captions: given, notes } = await found.load();
      const captions = await composeCaptions(given, wanted);
      const picture = await preparePicture(bytes, wanted.sizes, wanted.limits.pixels);
      const views = [viewOf(picture, false, wanted)];
      if (wanted.flip) views.push(viewOf(await mirror(picture), true, wanted));
      const told = [...notes, ...(picture.note === undefined ? [] : [picture.note])];
      return { kind: 'sample', name, captions, repeats: found.repeats, notes: told, views };
    });
  } catch (error) {
    if (!(error instanceof BadFile)) throw error;
    return { kind: 'rejected', name, reason: error.reason, pictures: 1 };
  }
}

/** Each once; of several, empty ones are none. */
async function composeCaptions(given: readonly string[], wanted: Wanted): Promise<ReadCaption[]> {
  const { trigger, limits, count } = wanted;
  const said = given.filter((text) => text.trim() !== '');
  const texts = (said.length > 0 ? said : [given[0]]).map((text) => composeCaption(text, trigger, limits.captionBytes));
  return Promise.all([...new Set(texts)].map(async (text) => ({ text, tokens: await count(text) })));
}

function viewOf(picture: Picture, mirrored: boolean, { vaeFingerprint }: Wanted): Prepared['views'][number] {
  const { pixels, width, height } = picture;
  const key = latentsKey({
    pixels,
    width,
    height,
    transform: { ...cropFields('center'), flip: mirrored },
    vaeFingerprint,
  });
  return { key, width, height, mirrored, picture };
}
