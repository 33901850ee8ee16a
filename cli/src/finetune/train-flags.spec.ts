import { AtelierError, trainOptionSpecs } from '@atelier/contracts';
import { Command } from 'commander';
import { addTrainFlags, asFlags, chosenByRecipe, trainOptionsOf } from './train-flags';

function parsed(...argv: string[]): Record<string, unknown> {
  const command = addTrainFlags(new Command())
    .exitOverride()
    .configureOutput({ writeErr: () => undefined });
  return command.parse(argv, { from: 'user' }).opts();
}

describe('training flags', () => {
  test('without any: the defaults of the reference script', () => {
    expect(trainOptionsOf(parsed())).toMatchObject({
      rank: 4,
      alpha: 4,
      totalSteps: 700,
      learningRate: 1e-4,
      recompute: true,
      quant: 'nf4',
      optimizer: 'adamw8bit',
      targets: ['to_k', 'to_q', 'to_v', 'to_out.0'],
    });
  });

  test.each([
    [['--rank', '16'], { rank: 16, alpha: 16 }],
    [['--alpha', '0.5'], { alpha: 0.5 }],
    [['--targets', 'to_k,ff.net.2'], { targets: ['to_k', 'ff.net.2'] }],
    [['--steps', '12'], { totalSteps: 12 }],
    [['--lr', '3e-4'], { learningRate: 3e-4 }],
    [['--lr-schedule', 'cosine', '--warmup', '5'], { lrSchedule: 'cosine', warmupSteps: 5 }],
    [['--accumulation', '4', '--seed', '9'], { accumulation: 4, seed: 9 }],
    [
      ['--optimizer', 'adamw', '--quant', 'none', '--weighting', 'logit_normal'],
      { optimizer: 'adamw', quant: 'none', weighting: 'logit_normal' },
    ],
    [['--no-recompute', '--checkpoint-every', '10'], { recompute: false, checkpointEvery: 10 }],
    [
      ['--validation-prompt', 'a', '--validation-prompt', 'b', '--validate-every', '3'],
      { validationPrompts: ['a', 'b'], validateEvery: 3 },
    ],
    [
      ['--validation-prompt', 'a', '--validation-steps', '4', '--validation-seed', '2'],
      { validationSteps: 4, validationSeed: 2 },
    ],
    [
      ['--adam-beta1', '0.8', '--adam-beta2', '0.99', '--adam-epsilon', '1e-6'],
      { adamBeta1: 0.8, adamBeta2: 0.99, adamEpsilon: 1e-6 },
    ],
    [['--lr-schedule', 'cosine_with_restarts', '--lr-num-cycles', '3'], { lrNumCycles: 3 }],
    [['--lr-schedule', 'polynomial', '--lr-power', '0.9'], { lrPower: 0.9 }],
    [['--weighting', 'logit_normal', '--logit-mean', '-0.5', '--logit-std', '0.8'], { logitMean: -0.5, logitStd: 0.8 }],
    [['--weighting', 'mode', '--mode-scale', '0.81'], { modeScale: 0.81 }],
    [
      ['--timestep-sampling', 'sigmoid', '--sigmoid-scale', '2', '--resolution-shift', '--max-sigma', '0.9'],
      { timestepSampling: 'sigmoid', sigmoidScale: 2, resolutionShift: true, maxSigma: 0.9 },
    ],
    [['--loss-type', 'huber', '--huber-c', '0.2'], { lossType: 'huber', huberC: 0.2, huberSchedule: 'constant' }],
    [['--recipe', 'style'], { recipe: 'style', rank: 16, alpha: 16, totalSteps: 2000, lrSchedule: 'cosine' }],
    [['--recipe', 'style', '--rank', '4', '--steps', '9'], { rank: 4, totalSteps: 9, timestepSampling: 'sigmoid' }],
    [
      ['--weight-decay', '0', '--max-grad-norm', '2', '--guidance', '3.5', '--on-bad-sample', 'fail'],
      { weightDecay: 0, maxGradNorm: 2, guidance: 3.5, onBadSample: 'fail' },
    ],
  ])('%p', (argv, options) => expect(trainOptionsOf(parsed(...argv))).toMatchObject(options));

  test('every training option has a flag, with its help, its group and its default', () => {
    const { options } = addTrainFlags(new Command());
    expect(options).toHaveLength(trainOptionSpecs.length);
    const shown = (flag: string) => options.find(({ long }) => long === flag);
    expect(shown('--warmup')).toMatchObject({ flags: '--warmup <n>', helpGroupHeading: 'Optimizer:' });
    expect(shown('--checkpoint-every')?.description).toMatch(
      /^steps between .* never \(default: 50 optimizer steps\)$/,
    );
    expect(shown('--accumulation')?.description).toMatch(/ \(default: 1 micro-step\)$/);
    expect(shown('--alpha')?.description).toMatch(/^LoRA alpha; .* \(default: the rank\)$/);
    expect(shown('--validation-prompt')?.description).toBe('prompts drawn while training; may be given several times');
    expect(shown('--no-recompute')?.description).toMatch(/^keep activations .* more memory$/);
  });

  test('a value out of its limits is refused by the name of its flag, all of them at once', () => {
    const refuse = (): unknown => trainOptionsOf(parsed('--rank', '0', '--lr', '50'));
    expect(refuse).toThrow(AtelierError);
    expect(refuse).toThrow(/--rank 0: .*--lr 50: /);
  });

  test('what a recipe chose reads as flags, without those that were given', () => {
    const flags = parsed('--recipe', 'subject', '--rank', '8', '--targets', 'to_q');
    expect(asFlags(chosenByRecipe(flags))).toBe(
      '--steps 2000 --lr 0.0001 --timestep-sampling sigmoid --resolution-shift',
    );
    expect(
      trainOptionsOf(
        parsed(
          '--steps',
          '2000',
          '--rank',
          '8',
          '--targets',
          'to_q',
          '--timestep-sampling',
          'sigmoid',
          '--resolution-shift',
        ),
      ),
    ).toEqual({ ...trainOptionsOf(flags), recipe: 'seed' });
    expect(asFlags(chosenByRecipe(parsed()))).toBe('');
    expect(asFlags({ recompute: false })).toBe('--no-recompute');
  });

  test('a choice that is none names the choices', () => {
    expect(() => parsed('--optimizer', 'sgd')).toThrow(/adamw8bit, adamw/);
  });
});
