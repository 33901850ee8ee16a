import { cropFields, latentsKey } from '@atelier/contracts';
import { composeCaption } from '../../pictures/caption';
import { mirror, preparePicture, type Picture } from '../../pictures/picture';
import { BadFile, type Found, type InHand } from '../../readers';
import type { ReadingJob, View } from '../messages';

export interface Prepared {
  readonly name: string;
  readonly caption: string;
  readonly views: readonly (View & { readonly picture: Picture })[];
}

type Wanted = Pick<ReadingJob, 'limits' | 'trigger' | 'sizes' | 'flip' | 'vaeFingerprint'>;

/** A picture brought to its size and given its keys, or why that cannot be done. */
export async function prepare(
  found: Found,
  wanted: Wanted,
  inHand: InHand,
): Promise<Prepared | { name: string; reason: string }> {
  const { name } = found;
  if (found.kind === 'rejected') return { name, reason: found.reason };
  try {
    return await inHand.over(name, async () => {
      const { bytes, caption: given } = await found.load();
      const caption = composeCaption(given, wanted.trigger, wanted.limits.captionBytes);
      const picture = await preparePicture(bytes, wanted.sizes, wanted.limits.pixels);
      const views = [viewOf(picture, false, wanted)];
      if (wanted.flip) views.push(viewOf(await mirror(picture), true, wanted));
      return { name, caption, views };
    });
  } catch (error) {
    if (!(error instanceof BadFile)) throw error;
    return { name, reason: error.reason };
  }
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
