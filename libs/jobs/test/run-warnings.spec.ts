import { completeTrainOptions, trainOptionsMessage, type CompleteTrainOptions } from '@atelier/contracts';
import { runWarnings } from '../src';

const warningsOf = (distinctPictures: number, options: Partial<CompleteTrainOptions> = {}): string[] =>
  runWarnings({ distinctPictures, options: trainOptionsMessage(completeTrainOptions(options)) });

describe('warnings of a run', () => {
  test.each([
    [28, 700, 1],
    [28, 350, 2],
    [7, 1400, 1],
    [10, 2000, 1],
  ])('none for %i pictures, %i steps of %i: each is visited 25 to 200 times', (pictures, totalSteps, accumulation) => {
    expect(warningsOf(pictures, { totalSteps, accumulation })).toEqual([]);
  });

  test('few and many visits are told, with the steps that would do', () => {
    expect(warningsOf(100)).toEqual([
      'with 700 steps each of 100 pictures is seen 7 times, so little is learnt as a rule: 25 to 200 times are usual, which is 2500 steps or more',
    ]);
    expect(warningsOf(3, { totalSteps: 700, accumulation: 4 })).toEqual([
      'with 700 steps of 4 micro-steps each of 3 pictures is seen 933 times, so the pictures themselves are learnt as a rule: 25 to 200 times are usual, which is 150 steps or fewer, or more pictures',
    ]);
    expect(warningsOf(1, { totalSteps: 1 })[0]).toMatch(/^with 1 step the one picture is seen once, so little/);
  });

  test('nothing is said of visits as long as nobody knows how many pictures there are', () => {
    expect(warningsOf(0, { totalSteps: 1 })).toEqual([]);
  });

  test('prompts that are never drawn are told', () => {
    expect(warningsOf(28, { validationPrompts: ['a'], validateEvery: 0 })).toEqual([
      expect.stringMatching(/^validate_every is 0, so the validation prompts are not drawn/),
    ]);
    expect(warningsOf(28, { validationPrompts: ['a'], validateEvery: 700 })).toEqual([]);
  });
});
