import {
  AtelierError,
  completeTrainOptions,
  type RecipeName,
  recipes,
  TrainOptions,
  trainOptionsJson,
  trainOptionsMessage,
  trainOptionSpecs,
} from '@atelier/contracts';
import { z } from 'zod';
import { checkedTrainOptions, recipeChoices, trainOptions, trainOptionsSchema, type TrainOptionsInput } from '../src';

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
    expect(trainOptions()).toMatchObject({
      rank: 4,
      alpha: 4,
      learningRate: 1e-4,
      optimizer: 'adamw8bit',
      weighting: 'none',
      quant: 'nf4',
    });
    expect(trainOptions({ rank: 16 }).alpha).toBe(16);
    expect(trainOptions({ rank: 16, alpha: 8 }).alpha).toBe(8);
  });

  test('prompts without an interval are drawn at the end of the run, and those with one as it says', () => {
    expect(trainOptions({ validation_prompts: ['a tower'], total_steps: 30 }).validateEvery).toBe(30);
    expect(trainOptions({ validation_prompts: ['a tower'], validate_every: 10 }).validateEvery).toBe(10);
    expect(trainOptions({ validation_prompts: ['a tower'], validate_every: 0 }).validateEvery).toBe(0);
    expect(trainOptions({ total_steps: 30 }).validateEvery).toBe(0);
  });

  test('a warm-up that does nothing or never ends is refused with what would do', () => {
    expect(refusal(() => trainOptions({ warmup_steps: 100 })).details).toEqual({
      warmup_steps: expect.stringMatching(/^the schedule "constant" has no warm-up: choose "constant_with_warmup"/),
    });
    const long = { warmup_steps: 1000, total_steps: 3, lr_schedule: 'constant_with_warmup' } as const;
    expect(refusal(() => trainOptions(long)).message).toContain(
      'the run has 3 steps, so the peak learning rate is never',
    );
    expect(trainOptions({ ...long, warmup_steps: 3 }).warmupSteps).toBe(3);
  });

  test('seed is the defaults, exactly', () => {
    expect(recipeChoices({ recipe: 'seed' })).toEqual({});
    expect(trainOptions({ recipe: 'seed' })).toEqual(completeTrainOptions());
    expect(trainOptions()).toEqual(completeTrainOptions());
  });

  test.each(Object.entries(recipes))('recipe %s names options that can be, and sets them', (recipe, { options }) => {
    const made = trainOptionsJson(trainOptionsMessage(trainOptions({ recipe: recipe as RecipeName })));
    expect(made).toMatchObject({ recipe, ...options });
    expect(recipeChoices({ recipe: recipe as RecipeName })).toEqual(options);
    // Complete options say all of it, so that checking them once more changes nothing.
    expect(checkedTrainOptions(trainOptions({ recipe: recipe as RecipeName }))).toEqual(
      trainOptions({ recipe: recipe as RecipeName }),
    );
  });

  test('what is set wins over a recipe, and what of it does not go with that gives way', () => {
    expect(trainOptions({ recipe: 'style', rank: 4, learning_rate: 4e-4 })).toMatchObject({
      rank: 4,
      alpha: 4,
      learningRate: 4e-4,
      totalSteps: 2000,
    });
    expect(trainOptions({ recipe: 'style', weighting: 'logit_normal' }).timestepSampling).toBe('sigma');
    expect(trainOptions({ recipe: 'subject', flow_shift: 3 }).resolutionShift).toBe(false);
    expect(trainOptions({ recipe: 'detail', resolution_shift: true }).flowShift).toBe(1);
    expect(trainOptions({ recipe: 'detail', flow_shift: 0.5 }).flowShift).toBe(0.5);
  });

  test.each([
    [{ sigmoid_scale: 2 }, /^does something only where timestep_sampling is "sigmoid", and it is "sigma": change/],
    [{ huber_c: 0.2 }, /only where loss_type is "huber" or "smooth_l1", and it is "mse"/],
    [{ huber_schedule: 'exponential' }, /only where loss_type is/],
    [{ logit_mean: 1 }, /only where weighting is "logit_normal"/],
    [{ mode_scale: 1 }, /only where weighting is "mode"/],
    [{ lr_power: 2 }, /only where lr_schedule is "polynomial"/],
    [{ lr_num_cycles: 2, lr_schedule: 'cosine' }, /only where lr_schedule is "cosine_with_restarts"/],
    [{ validate_every: 10 }, /only where validation_prompts is given, and it is not/],
    [{ validation_steps: 10 }, /only where validation_prompts is given/],
    [{ min_sigma: 0.5, max_sigma: 0.5 }, /^it is not below max_sigma, which is 0.5/],
    [{ flow_shift: 3, resolution_shift: true }, /give one of them/],
    [{ weighting: 'mode', timestep_sampling: 'style' }, /draws among the scheduler's sigmas/],
    [{ weighting: 'sigma_sqrt', timestep_sampling: 'uniform' }, /give a min_sigma/],
    [{ validation_prompts: ['a'], validate_every: 31, total_steps: 30 }, /so nothing is ever drawn: use 30 at most/],
  ])('%j is refused: it would be ignored, or contradicts itself', (input, problem) => {
    const details = refusal(() => trainOptions(input as TrainOptionsInput)).details;
    expect(Object.keys(details)).toHaveLength(1);
    expect(Object.keys(input)).toContain(Object.keys(details)[0]);
    expect(Object.values(details)[0]).toMatch(problem);
  });

  test('what a condition asks for makes the option one that counts', () => {
    expect(trainOptions({ sigmoid_scale: 2, timestep_sampling: 'sigmoid' }).sigmoidScale).toBe(2);
    expect(trainOptions({ huber_c: 0.2, loss_type: 'smooth_l1' }).huberC).toBe(0.2);
    expect(trainOptions({ weighting: 'sigma_sqrt', timestep_sampling: 'uniform', min_sigma: 0.01 }).minSigma).toBe(
      0.01,
    );
    expect(trainOptions({ weighting: 'bell', timestep_sampling: 'style' }).weighting).toBe('bell');
  });

  test('the schema says of each option what is declared: default, limits, help, unit and group', () => {
    const { properties } = z.toJSONSchema(trainOptionsSchema, { io: 'input' }) as {
      properties: Record<string, object>;
    };
    expect(Object.keys(properties)).toEqual(trainOptionSpecs.map(({ name }) => name));
    for (const { name, help, group } of trainOptionSpecs) {
      expect(properties[name]).toMatchObject({ description: expect.stringContaining(help), 'x-group': group });
    }
    expect(properties.warmup_steps).toMatchObject({
      title: 'Warmup steps',
      type: 'integer',
      minimum: 0,
      maximum: 1_000_000,
      default: 0,
      'x-unit': 'optimizer steps',
    });
    expect(properties.learning_rate).toMatchObject({
      exclusiveMinimum: 0,
      maximum: 10,
      default: 1e-4,
      'x-basic': true,
    });
    expect(properties.adam_beta1).toMatchObject({ minimum: 0, exclusiveMaximum: 1, default: 0.9 });
    expect(properties.alpha).not.toHaveProperty('default');
    expect(properties.alpha).toMatchObject({ description: expect.stringMatching(/Default: the rank\.$/) });
    expect(properties.optimizer).toMatchObject({ enum: ['adamw8bit', 'adamw', 'adamw8bit_all'] });
    expect(properties.targets).toMatchObject({ type: 'array', minItems: 1, maxItems: 512, items: { maxLength: 200 } });
  });

  test.each(trainOptionSpecs.filter(({ max }) => max !== undefined))(
    '$name is refused beyond its limits, and taken at them',
    (spec) => {
      const { name, min = 0, max = 0, aboveMin, belowMax } = spec;
      const taken = (value: number) => trainOptionsSchema.safeParse({ [name]: value }).success;
      expect([taken(min - 1), taken(min), taken(max), taken(max + 1)]).toEqual([false, !aboveMin, !belowMax, false]);
    },
  );

  test('options survive the message and come back in the spelling of the API', () => {
    const options = trainOptions({
      rank: 8,
      targets: ['to_q'],
      validation_prompts: ['a heron'],
      seed: 2 ** 40,
      quant: 'nf4_double',
    });
    const back = trainOptionsJson(TrainOptions.decode(TrainOptions.encode(trainOptionsMessage(options)).finish()));
    expect(back).toMatchObject({
      rank: 8,
      targets: ['to_q'],
      validation_prompts: ['a heron'],
      seed: 2 ** 40,
      quant: 'nf4_double',
    });
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

  test('some options are checked and completed; what they leave out takes its default', () => {
    expect(checkedTrainOptions({ rank: 2, totalSteps: 9, alpha: undefined })).toMatchObject({
      rank: 2,
      alpha: 2,
      totalSteps: 9,
      seed: 0,
    });
    expect(refusal(() => checkedTrainOptions({ rank: 1025, totalStep: 9 } as never)).details).toEqual({
      rank: expect.stringContaining('1024'),
      totalStep: expect.stringContaining('unknown field'),
    });
  });
});
