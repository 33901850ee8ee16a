import { z } from 'zod';
import {
  AtelierError,
  completeTrainOptions,
  completeTrainOptionsJson,
  recipes,
  trainOptionSpecs,
  type CompleteTrainOptions,
  type TrainOptionsJson,
  type TrainOptionSpec,
} from '@atelier/contracts';
import { conflictsOf } from './option-conflicts';

function limited<Schema extends z.ZodNumber>(schema: Schema, spec: TrainOptionSpec): Schema {
  const { min, max, aboveMin, belowMax } = spec;
  let result = schema;
  if (min !== undefined) result = aboveMin ? result.gt(min) : result.gte(min);
  if (max !== undefined) result = belowMax ? result.lt(max) : result.lte(max);
  return result;
}

function texts({ minItems = 0, maxItems = Infinity, maxLength = Infinity }: TrainOptionSpec): z.ZodType {
  return z.array(z.string().min(1).max(maxLength)).min(minItems).max(maxItems);
}

/** An option's value, which must be there. */
export function trainOptionValue(spec: TrainOptionSpec): z.ZodType {
  switch (spec.kind) {
    case 'integer':
      return limited(z.int(), spec);
    case 'number':
      return limited(z.number(), spec);
    case 'boolean':
      return z.boolean();
    case 'enum':
      return z.enum(spec.values!.map(({ name }) => name));
    case 'texts':
      return texts(spec);
  }
}

/** "weight_decay" as the head of a field. */
const titleOf = (name: string): string => `${name[0]!.toUpperCase()}${name.slice(1).replaceAll('_', ' ')}`;

/** What a form shows beside the limits goes along, and so into the OpenAPI document. */
function trainOptionSchema(spec: TrainOptionSpec): z.ZodType {
  const { name, help, defaultFrom, unit, group, basic } = spec;
  const value = trainOptionValue(spec);
  const schema = defaultFrom ? value.optional() : value.default(spec.default);
  return schema.meta({
    title: titleOf(name),
    description: defaultFrom ? `${help} Default: the ${defaultFrom}.` : help,
    'x-group': group,
    ...(unit && { 'x-unit': unit }),
    ...(basic && { 'x-basic': true }),
    ...(name === 'recipe' && { 'x-recipes': recipes }),
  });
}

type Shape = {
  [Name in keyof TrainOptionsJson]: z.ZodType<TrainOptionsJson[Name], TrainOptionsJson[Name] | undefined>;
};

/** What a person may ask of a fine-tune, in JSON's spelling, with names, defaults and limits as proto/ declares them. */
export const trainOptionsSchema = z.strictObject(
  Object.fromEntries(trainOptionSpecs.map((spec) => [spec.name, trainOptionSchema(spec)])) as unknown as Shape,
);

export type TrainOptionsInput = Partial<TrainOptionsJson>;

/** Every problem of a zod failure as one INVALID_ARGUMENT: the text lists them all, details holds one entry per field. */
export function invalidArgument(what: string, error: z.ZodError): AtelierError {
  const details: Record<string, string> = {};
  const note = (field: string, problem: string): void => {
    details[field] = details[field] ? `${details[field]}; ${problem}` : problem;
  };
  for (const issue of error.issues) {
    const path = issue.path.join('.');
    if (issue.code === 'unrecognized_keys') {
      for (const key of issue.keys)
        note(path ? `${path}.${key}` : key, 'unknown field: remove it or correct its spelling');
    } else {
      note(path || what, issue.message);
    }
  }
  const list = Object.entries(details).map(([field, problem]) => `${field}: ${problem}`);
  return new AtelierError('INVALID_ARGUMENT', `${what} is not valid: ${list.join('. ')}`, details);
}

/** Options in JSON's spelling, completed by their recipe and the defaults; refuses bad and unknown ones, all at once. */
export function trainOptions(input: TrainOptionsInput = {}): CompleteTrainOptions {
  const parsed = trainOptionsSchema.safeParse(input);
  if (!parsed.success) throw invalidArgument('options', parsed.error);
  const json = { ...parsed.data, ...recipeChoices(input) };
  refuseConflicts(completeTrainOptionsJson(json));
  const options = completeTrainOptions(fromJson(json));
  // Prompts that are given without an interval are to be drawn: once, of what the run came to.
  const atTheEnd = options.validationPrompts.length > 0 && input.validate_every === undefined;
  return atTheEnd ? { ...options, validateEvery: options.totalSteps } : options;
}

/** What a recipe sets beside what is given, which wins: what does not go with that is left at its default too. */
export function recipeChoices(input: TrainOptionsInput = {}): TrainOptionsInput {
  const given = Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined));
  const chosen = new Map(Object.entries(recipes[input.recipe ?? 'seed'].options).filter(([name]) => !(name in given)));
  for (;;) {
    const choices = Object.fromEntries(chosen);
    const conflicts = conflictsOf(completeTrainOptionsJson({ ...given, ...choices }));
    const yields = conflicts.flatMap(({ option, others }) => [option, ...others]).find((name) => chosen.has(name));
    if (yields === undefined) return choices;
    chosen.delete(yields);
  }
}

function refuseConflicts(options: TrainOptionsJson): void {
  const details: Record<string, string> = {};
  for (const { option, problem } of conflictsOf(options)) details[option] ??= problem;
  const list = Object.entries(details).map(([option, problem]) => `${option}: ${problem}`);
  if (list.length > 0) throw new AtelierError('INVALID_ARGUMENT', `options is not valid: ${list.join('. ')}`, details);
}

/** Some options, checked and completed. */
export function checkedTrainOptions(options: Partial<CompleteTrainOptions>): CompleteTrainOptions {
  const names = new Map<string, string>(trainOptionSpecs.map(({ key, name }) => [key, name]));
  const given = Object.entries(options).filter(([, value]) => value !== undefined && value !== null);
  return trainOptions(Object.fromEntries(given.map(([key, value]) => [names.get(key) ?? key, value])));
}

function fromJson(json: TrainOptionsInput): Partial<CompleteTrainOptions> {
  return Object.fromEntries(trainOptionSpecs.map(({ key, name }) => [key, json[name]]));
}
