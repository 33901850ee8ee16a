// What a message says of train options, whatever version wrote it: the one place that knows. Absent means the default that proto/ declares,
// for every version: 0.1.0 wrote every field, zeros too, and a writer that leaves zeros out cannot be told from one that says nothing.
import { engineTrainOptions, trainOptionSpecs } from '../gen/train-options';
import type { CompleteTrainOptions, EngineTrainOption, TrainOptionSpec, TrainOptionsJson } from '../gen/train-options';
import { AtelierError } from './errors';
import type { ITrainOptions } from './messages';

export { engineTrainOptions, trainOptionSpecs };
export type { CompleteTrainOptions, EngineTrainOption, TrainOptionSpec, TrainOptionsJson };
export type {
  BaseQuantName,
  HuberScheduleName,
  LossTypeName,
  LrScheduleKindName,
  OnBadSampleName,
  OptimizerKindName,
  TimestepSamplingName,
  WeightingName,
} from '../gen/train-options';

/** Undefined where nothing is said. An enum's value that this version does not know reads as its number. */
function said(spec: TrainOptionSpec, message: ITrainOptions): unknown {
  const fields = message as Record<string, unknown>;
  const value = fields[spec.field] ?? undefined;
  if (spec.kind === 'texts') return Array.isArray(value) && value.length > 0 ? value : undefined;
  if (spec.kind !== 'enum') return value;
  if (!value) return (spec.formerField && fields[spec.formerField]) || undefined;
  return spec.values?.find(({ number }) => number === value)?.name ?? `${spec.name} ${JSON.stringify(value)}`;
}

type Values = Record<string, unknown>;

/** Options with those that were left out at their defaults. */
function completed(given: (spec: TrainOptionSpec) => unknown): Values {
  const values: Values = {};
  for (const spec of trainOptionSpecs) {
    const value = given(spec) ?? spec.default;
    values[spec.name] = Array.isArray(value) ? [...(value as unknown[])] : value; // the table's own lists stay its own
  }
  for (const { name, defaultFrom } of trainOptionSpecs) if (defaultFrom) values[name] ??= values[defaultFrom];
  return values;
}

function inCode(values: Values): CompleteTrainOptions {
  const options: Values = {};
  for (const { name, key } of trainOptionSpecs) options[key] = values[name];
  return options as unknown as CompleteTrainOptions;
}

/** Complete options from some. Limits are not looked at: who takes options from people does, and the engine. */
export function completeTrainOptions(given: Partial<CompleteTrainOptions> = {}): CompleteTrainOptions {
  return inCode(completed(({ key }) => given[key]));
}

/** The same in JSON's spelling. */
export function completeTrainOptionsJson(given: Partial<TrainOptionsJson> = {}): TrainOptionsJson {
  return completed(({ name }) => given[name]) as unknown as TrainOptionsJson;
}

/** What a message says and leaves out, in JSON's spelling, for showing: also where this version could not run it. */
export function trainOptionsJson(message: ITrainOptions | null | undefined): TrainOptionsJson {
  return completed((spec) => said(spec, message ?? {})) as unknown as TrainOptionsJson;
}

/** Throws INVALID_ARGUMENT, naming every option whose value this version does not know. */
export function readTrainOptions(message: ITrainOptions | null | undefined): CompleteTrainOptions {
  const values = trainOptionsJson(message) as unknown as Values;
  const details: Record<string, string> = {};
  for (const { name, values: known } of trainOptionSpecs) {
    const names = known?.map((each) => each.name);
    if (names && !names.includes(values[name] as string)) {
      details[name] = `${JSON.stringify(values[name])} is unknown here: choose one of ${names.join(', ')}`;
    }
  }
  const problems = Object.entries(details).map(([name, problem]) => `${name}: ${problem}`);
  if (problems.length > 0) throw new AtelierError('INVALID_ARGUMENT', problems.join('. '), details);
  return inCode(values);
}

/** Options as a message, enums also in the words of 0.1.0: one of its trainers may be the one that takes the run. */
export function trainOptionsMessage(options: CompleteTrainOptions): ITrainOptions {
  const message: Record<string, unknown> = {};
  for (const { key, field, formerField, values } of trainOptionSpecs) {
    message[field] = values ? values.find(({ name }) => name === options[key])?.number : options[key];
    if (formerField) message[formerField] = options[key];
  }
  return message;
}
