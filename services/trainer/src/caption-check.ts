import type { Sample, Trainer } from '@atelier/engine';
import type { Interruption } from './interruption';
import type { RunSamples } from './run-samples';

/** Captions of other pictures that each is compared with. */
const OTHERS = 6;

/**
 * Whether each picture's own caption suits it better than others' do, by the adapter as it is: the same picture at the
 * same noise levels and noises, so that what its loss differs by is the caption's doing alone.
 * @param pairs noise levels and noises that each is scored at
 * @returns false when the service is to stop: what was compared by then stays
 */
export async function checkCaptions(
  trainer: Trainer,
  samples: RunSamples,
  pairs: number,
  { ended, stopping }: Pick<Interruption, 'ended' | 'stopping'>,
): Promise<boolean> {
  const trained = samples.trained;
  for (const [place, index] of trained.entries()) {
    if (samples.losses.isCompared(index)) continue;
    if (stopping.aborted) return false;
    const own = await samples.pictureSample(index);
    const lossUnder = async ({ promptEmbeds, pooled }: Pick<Sample, 'promptEmbeds' | 'pooled'>): Promise<number> => {
      const results = await trainer.score({ ...own, promptEmbeds, pooled }, pairs, { signal: ended });
      return results.reduce((sum, { loss }) => sum + Math.log(loss), 0) / results.length;
    };
    const ownLoss = await lossUnder(own);
    let sum = 0;
    let count = 0;
    // From its place on, so that no caption is everybody's other.
    for (let step = 1; step < trained.length && count < OTHERS; step++) {
      const other = trained[(place + step) % trained.length]!;
      if (samples.haveOneCaption(index, other)) continue;
      sum += await lossUnder(await samples.pictureSample(other));
      count += 1;
    }
    if (count > 0) samples.losses.compared(index, sum / count - ownLoss);
  }
  return true;
}
