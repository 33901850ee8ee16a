import { trainOptionsSchema } from '@atelier/client';
import { AtelierError } from '@atelier/contracts';
import { Command } from 'commander';
import { addTrainFlags, trainOptionsOf } from './train-flags';

function parsed(...argv: string[]): Record<string, unknown> {
  const command = addTrainFlags(new Command()).exitOverride().configureOutput({ writeErr: () => undefined });
  return command.parse(argv, { from: 'user' }).opts();
}

describe('training flags', () => {
  test('without any: the defaults of the reference script', () => {
    expect(trainOptionsOf(parsed())).toMatchObject({ rank: 4, alpha: 4, totalSteps: 700, learningRate: 1e-4, recompute: true, quant: 'nf4', optimizer: 'adamw8bit', targets: ['to_k', 'to_q', 'to_v', 'to_out.0'] });
  });

  test.each([
    [['--rank', '16'], { rank: 16, alpha: 16 }],
    [['--alpha', '0.5'], { alpha: 0.5 }],
    [['--targets', 'to_k,ff.net.2'], { targets: ['to_k', 'ff.net.2'] }],
    [['--steps', '12'], { totalSteps: 12 }],
    [['--lr', '3e-4'], { learningRate: 3e-4 }],
    [['--lr-schedule', 'cosine', '--warmup', '5'], { lrSchedule: 'cosine', warmupSteps: 5 }],
    [['--accumulation', '4', '--seed', '9'], { accumulation: 4, seed: 9 }],
    [['--optimizer', 'adamw', '--quant', 'none', '--weighting', 'logit_normal'], { optimizer: 'adamw', quant: 'none', weighting: 'logit_normal' }],
    [['--no-recompute', '--checkpoint-every', '10'], { recompute: false, checkpointEvery: 10 }],
    [['--validation-prompt', 'a', '--validation-prompt', 'b', '--validate-every', '3'], { validationPrompts: ['a', 'b'], validateEvery: 3 }],
    [['--validation-steps', '4', '--validation-seed', '2'], { validationSteps: 4, validationSeed: 2 }],
    [['--weight-decay', '0', '--max-grad-norm', '2', '--guidance', '3.5', '--on-bad-sample', 'fail'], { weightDecay: 0, maxGradNorm: 2, guidance: 3.5, onBadSample: 'fail' }],
  ])('%p', (argv, options) => expect(trainOptionsOf(parsed(...argv))).toMatchObject(options));

  test('every training option that people vary has a flag', () => {
    const shown = addTrainFlags(new Command()).options.length;
    const without = ['logit_mean', 'logit_std', 'mode_scale']; // shapes of weightings that no one tunes from a shell
    expect(shown).toBe(Object.keys(trainOptionsSchema.shape).length - without.length);
  });

  test('a value out of its limits is refused by the name of its flag, all of them at once', () => {
    const refuse = (): unknown => trainOptionsOf(parsed('--rank', '0', '--lr', '50'));
    expect(refuse).toThrow(AtelierError);
    expect(refuse).toThrow(/--rank 0: .*--lr 50: /);
  });

  test('a choice that is none names the choices', () => {
    expect(() => parsed('--optimizer', 'sgd')).toThrow(/adamw8bit, adamw/);
  });
});
