import { PictureStanding, type ISample } from '@atelier/contracts';
import { PictureLosses } from './picture-losses';

const samples: ISample[] = Array.from({ length: 12 }, (_, i) => ({ name: `s${i}` }));

/** Visits in rounds, at noise levels on which the loss depends much. */
function train(
  losses: PictureLosses,
  rounds: number,
  lossOf: (index: number, round: number) => number,
  from = 0,
): void {
  for (let round = from; round < from + rounds; round++)
    for (let index = 0; index < samples.length; index++) {
      const sigma = ((round * 7 + index * 5) % 20) / 20 + 0.01;
      losses.take(index, { loss: lossOf(index, round) * (0.1 + (1 - sigma) * 3), sigma });
    }
}
const slight = (index: number, round: number): number => 1 + 0.02 * Math.sin(index * 12.9 + round * 78.2);
const standing = (losses: PictureLosses, name: string) =>
  losses.table(samples, 9).pictures!.find((each) => each.name === name)!.standing;

describe("a picture's losses", () => {
  it('are told as a share of what all have at the same noise levels: 1 is like the others', () => {
    const losses = PictureLosses.from();
    train(losses, 40, slight);
    const { pictures, step } = losses.table(samples, 9);
    expect(step).toBe(9);
    expect(pictures).toHaveLength(12);
    for (const { loss, visits } of pictures!) {
      expect(visits).toBe(40);
      expect(Math.abs(loss! - 1)).toBeLessThan(0.05);
    }
  });

  it('name the one that stays high as stuck, first in the table, and the one that fell low as memorised', () => {
    const losses = PictureLosses.from();
    train(losses, 40, (index, round) => {
      if (index === 3) return 1.4 * slight(index, round);
      if (index === 5) return (1 - 0.02 * round) * slight(index, round);
      return slight(index, round);
    });
    expect(losses.table(samples, 9).pictures![0]!.name).toBe('s3');
    expect(standing(losses, 's3')).toBe(PictureStanding.PICTURE_STANDING_STUCK);
    expect(standing(losses, 's5')).toBe(PictureStanding.PICTURE_STANDING_MEMORISED);
    expect(standing(losses, 's7')).not.toBe(PictureStanding.PICTURE_STANDING_STUCK);
  });

  it('stand in the order of what their captions are worth, where those were compared, and keep that', () => {
    const losses = PictureLosses.from();
    train(losses, 6, (index) => (index === 3 ? 2 : 1));
    for (let index = 0; index < samples.length; index++)
      losses.compared(index, index === 7 ? -0.01 : 0.1 + index / 100);
    const { pictures } = PictureLosses.from(losses.saved()).table(samples, 9);
    expect(pictures!.slice(0, 2).map(({ name, captionGain }) => [name, captionGain])).toEqual([
      ['s7', -0.01],
      ['s0', 0.1],
    ]);
    expect(losses.isCompared(7)).toBe(true);
    expect(PictureLosses.from().isCompared(7)).toBe(false);
  });

  it('say nothing of one that was hardly seen', () => {
    const losses = PictureLosses.from();
    train(losses, 4, (index) => (index === 3 ? 9 : 1));
    expect(standing(losses, 's3')).toBe(PictureStanding.PICTURE_STANDING_NEW);
  });

  it('go on exactly where they were saved, through JSON', () => {
    const whole = PictureLosses.from();
    train(whole, 30, slight);
    const first = PictureLosses.from();
    train(first, 11, slight);
    const second = PictureLosses.from(JSON.parse(JSON.stringify(first.saved())) as number[][]);
    train(second, 19, slight, 11);
    expect(second.saved()).toEqual(whole.saved());
    expect(second.table(samples, 1)).toEqual(whole.table(samples, 1));
  });

  it('are told of 500 at most: of those that stand out', () => {
    const many = Array.from({ length: 600 }, (_, i) => ({ name: `m${i}` }));
    const losses = PictureLosses.from();
    for (let index = 0; index < 600; index++) losses.take(index, { loss: 1 + index, sigma: 0.5 });
    expect(losses.table(many, 1).pictures).toHaveLength(500);
    // The lowest loss is told, too, where captions were compared and its own suits it best.
    for (let index = 0; index < 600; index++) losses.compared(index, index === 0 ? 2 : index / 1000);
    const { pictures } = losses.table(many, 1);
    expect(pictures).toHaveLength(500);
    expect(pictures!.at(-1)!.name).toBe('m0');
    expect(pictures![0]!.name).toBe('m1');
  });
});
