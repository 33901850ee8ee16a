import {
  AtelierError,
  completeTrainOptions,
  OptimizerKind,
  readTrainOptions,
  TrainOptions,
  trainOptionsJson,
  trainOptionsMessage,
  trainOptionSpecs,
  type CompleteTrainOptions,
  type ITrainOptions,
} from '@atelier/contracts';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

interface Released {
  title: string;
  bytes: string;
  /** What it says; of all but the first only where it differs from that, which is the defaults. */
  means: Record<string, unknown>;
}

const file = join(__dirname, 'released', 'train-options-0.1.0.json');
const released = JSON.parse(readFileSync(file, 'utf8')) as [Released, ...Released[]];
/** Options that 0.1.0 had not, with what it did. */
const SINCE = {
  ...{ adamBeta1: 0.9, adamBeta2: 0.999, adamEpsilon: 1e-8, lrNumCycles: 1, lrPower: 1 },
  ...{ adapterEvery: 0, keep: 'all', keepMost: 0, emaDecay: 0 },
  ...{ heldOut: 0, heldOutEvery: 25, heldOutPairs: 4, patience: 0, captionCheck: 0 },
  ...{ recipe: 'seed', timestepSampling: 'sigma', sigmoidScale: 1, flowShift: 1, resolutionShift: false },
  ...{ minSigma: 0, maxSigma: 1, lossType: 'mse', huberC: 0.1, huberSchedule: 'constant' },
};

const UNSPECIFIED = OptimizerKind.OPTIMIZER_KIND_UNSPECIFIED;
const decoded = (message: ITrainOptions) => TrainOptions.decode(TrainOptions.encode(message).finish());

function refusal(message: ITrainOptions): AtelierError {
  try {
    readTrainOptions(message);
  } catch (error) {
    return error as AtelierError;
  }
  throw new Error('it was not refused');
}

/** A value of each option that is not its default. */
function others(): CompleteTrainOptions {
  const other = ({ kind, values, default: usual, max = 64 }: (typeof trainOptionSpecs)[number]): unknown => {
    if (values) return values.find(({ name }) => name !== usual)?.name;
    if (kind === 'boolean') return !usual;
    if (kind === 'texts') return ['a', 'b é'];
    return kind === 'integer' ? max : max / 4;
  };
  return Object.fromEntries(trainOptionSpecs.map((spec) => [spec.key, other(spec)])) as unknown as CompleteTrainOptions;
}

describe('train options as 0.1.0 wrote them', () => {
  test.each(released.map((entry) => [entry.title, entry] as const))('%s', (_title, { bytes, means }) => {
    const message = TrainOptions.decode(Buffer.from(bytes, 'hex'));
    expect(readTrainOptions(message)).toEqual({ ...released[0].means, ...SINCE, ...means });
  });

  test('the defaults are those of today', () => {
    expect(completeTrainOptions()).toEqual({ ...released[0].means, ...SINCE });
  });

  test('what is written today says the same to a reader of that version', () => {
    for (const { bytes, means } of released) {
      const message = TrainOptions.decode(Buffer.from(bytes, 'hex'));
      const fields = TrainOptions.toObject(decoded(trainOptionsMessage(readTrainOptions(message))), { arrays: true });
      expect(fields).toMatchObject({ ...released[0].means, ...means });
    }
  });
});

describe('train options in a message', () => {
  test('come back as they went, each of them', () => {
    const options = others();
    const usual = completeTrainOptions();
    for (const { key } of trainOptionSpecs) expect([key, options[key]]).not.toEqual([key, usual[key]]);
    expect(readTrainOptions(decoded(trainOptionsMessage(options)))).toEqual(options);
  });

  test('an empty message, or none, means every default; alpha follows the rank', () => {
    for (const message of [TrainOptions.decode(new Uint8Array()), {}, null, undefined]) {
      expect(readTrainOptions(message)).toEqual(completeTrainOptions());
    }
    expect(readTrainOptions(decoded({ rank: 16 }))).toMatchObject({ rank: 16, alpha: 16, recompute: true });
  });

  test('a zero or a false that was said is no absence', () => {
    const zeros = { weightDecay: 0, checkpointEvery: 0, guidance: 0, modeScale: 0, recompute: false };
    expect(readTrainOptions(decoded(zeros))).toMatchObject(zeros);
  });

  test('an enum counts, not the text beside it, and a text where it stands alone', () => {
    expect(
      readTrainOptions({ optimizerKind: OptimizerKind.OPTIMIZER_KIND_ADAMW, optimizer: 'adamw8bit' }).optimizer,
    ).toBe('adamw');
    expect(readTrainOptions({ optimizerKind: UNSPECIFIED, optimizer: 'adamw8bit_all' }).optimizer).toBe(
      'adamw8bit_all',
    );
    expect(readTrainOptions({ optimizer: '' }).optimizer).toBe('adamw8bit');
  });

  test('values of a later version are refused by name, all at once, and can be shown', () => {
    const message = TrainOptions.fromObject({ optimizerKind: 77, quant: 'nf2' });
    const error = refusal(message);
    expect(error.code).toBe('INVALID_ARGUMENT');
    expect(error.details).toEqual({
      optimizer: '"optimizer 77" is unknown here: choose one of adamw8bit, adamw, adamw8bit_all',
      quant: '"nf2" is unknown here: choose one of none, nf4, nf4_double',
    });
    expect(error.message).toContain('quant: "nf2"');
    expect(trainOptionsJson(message)).toMatchObject({ optimizer: 'optimizer 77', quant: 'nf2', rank: 4 });
  });

  test('a list that is handed out is nobody else’s', () => {
    completeTrainOptions().targets.push('proj_out');
    expect(completeTrainOptions().targets).toHaveLength(4);
  });
});
