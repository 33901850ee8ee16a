import { AtelierError, TrainOptions } from '@atelier/contracts';
import { completeTrainOptions, trainOptions, trainOptionsJson, trainOptionsSchema } from '../src';

function refusal(work: () => unknown): AtelierError {
  try {
    work();
  } catch (error) {
    return error as AtelierError;
  }
  throw new Error('it was not refused');
}

describe('train options', () => {
  test('defaults are those of the reference script, and alpha follows the rank', () => {
    expect(trainOptions()).toMatchObject({ rank: 4, alpha: 4, learningRate: 1e-4, optimizer: 'adamw8bit', weighting: 'none', quant: 'nf4' });
    expect(trainOptions({ rank: 16 }).alpha).toBe(16);
    expect(trainOptions({ rank: 16, alpha: 8 }).alpha).toBe(8);
  });

  test('the schema has every field of the message, and no other', () => {
    const message = TrainOptions.toObject(TrainOptions.create({ targets: [], validationPrompts: [] }), { defaults: true, arrays: true });
    expect(Object.keys(trainOptions()).sort()).toEqual(Object.keys(message).sort());
  });

  test('options survive the message and come back in the spelling of the API', () => {
    const options = trainOptions({ rank: 8, targets: ['to_q'], validation_prompts: ['a heron'], seed: 2 ** 40, quant: 'nf4_double' });
    const back = trainOptionsJson(TrainOptions.decode(TrainOptions.encode(options).finish()));
    expect(back).toMatchObject({ rank: 8, targets: ['to_q'], validation_prompts: ['a heron'], seed: 2 ** 40, quant: 'nf4_double' });
    expect(Object.keys(back)).toEqual(Object.keys(trainOptionsSchema.shape));
  });

  test('every bad field is reported at once, by name, and unknown ones are refused', () => {
    const error = refusal(() => trainOptions({ rank: 0, optimizer: 'sgd', learningrate: 1 } as never));
    expect(error.code).toBe('INVALID_ARGUMENT');
    expect(Object.keys(error.details ?? {}).sort()).toEqual(['learningrate', 'optimizer', 'rank']);
    for (const field of ['rank', 'optimizer', 'learningrate']) expect(error.message).toContain(field);
  });

  test.each([NaN, Infinity, '4', 1.5, -1, null])('a rank of %p is refused', (rank) => {
    expect(refusal(() => trainOptions({ rank } as never)).details).toHaveProperty('rank');
  });

  test('a partial message is completed; what it leaves out takes its default', () => {
    expect(completeTrainOptions({ rank: 2, totalSteps: 9, alpha: undefined })).toMatchObject({ rank: 2, alpha: 2, totalSteps: 9, seed: 0 });
  });
});
