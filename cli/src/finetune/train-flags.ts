import { recipeChoices, trainOptions, type TrainOptionsInput } from '@atelier/client';
import { AtelierError, trainOptionSpecs, type CompleteTrainOptions, type TrainOptionSpec } from '@atelier/contracts';
import { Option, type Command } from 'commander';
import { collect, decimal, integer, list } from '../parse';

/** What stands for a value in the help, and reads it; an enum's names are checked by its choices, a switch has no value. */
const FORMS = {
  integer: { value: '<n>', parse: integer },
  number: { value: '<x>', parse: decimal },
  enum: { value: '<name>', parse: undefined },
  texts: { value: '<list>', parse: list },
  boolean: { value: '', parse: undefined },
} as const;

function optionOf(spec: TrainOptionSpec): Option {
  const { kind, flag, each, values } = spec;
  const { value, parse } = each ? { value: '<text>', parse: collect } : FORMS[kind];
  const dashed = kind === 'boolean' && spec.default === true ? `--no-${flag}` : `--${flag}`;
  const option = new Option(`${dashed} ${value}`.trim(), helpOf(spec)).helpGroup(`${spec.group}:`);
  if (values) option.choices(values.map(({ name }) => name));
  else if (parse) option.argParser(parse as (text: string) => never);
  return option;
}

/** As commander's own texts are: the first word small unless it has more capitals, no full stop at the end. */
function helpOf({ kind, help, offHelp, unit, each, default: usual, defaultFrom }: TrainOptionSpec): string {
  const about = (kind === 'boolean' && usual === true && offHelp) || help;
  const [word = ''] = about.split(' ');
  const start = /\p{Lu}/u.test(word.slice(1)) ? word : word.toLowerCase();
  const text = `${start}${about.slice(word.length)}`.replace(/\.$/, '');
  const many = each ? '; may be given several times' : '';
  return `${text}${many}${defaultText(defaultFrom ? `the ${defaultFrom}` : usual, unit)}`;
}

function defaultText(usual: TrainOptionSpec['default'], unit: string | undefined): string {
  if (typeof usual === 'boolean' || usual === undefined || (Array.isArray(usual) && usual.length === 0)) return '';
  return ` (default: ${String(usual)}${unit ? ` ${usual === 1 ? unit.replace(/s$/, '') : unit}` : ''})`;
}

/** One flag for each option that proto/ declares. */
export function addTrainFlags(command: Command): Command {
  for (const spec of trainOptionSpecs) command.addOption(optionOf(spec));
  return command;
}

function inputOf(flags: Record<string, unknown>): Record<string, unknown> {
  const given = trainOptionSpecs.map((spec) => [spec.name, flags[optionOf(spec).attributeName()]] as const);
  return Object.fromEntries(given.filter(([, value]) => value !== undefined));
}

/** What the recipe of the flags chose beside them, by the names of options. Of flags that are no options: nothing. */
export function chosenByRecipe(flags: Record<string, unknown>): TrainOptionsInput {
  return recipeChoices(inputOf(flags));
}

/** Options as one would give them: "--rank 16 --lr-schedule cosine". */
export function asFlags(options: TrainOptionsInput): string {
  const flags = trainOptionSpecs.map(({ name, flag }) => {
    const value = options[name];
    if (value === undefined) return '';
    if (typeof value === 'boolean') return value ? `--${flag}` : `--no-${flag}`;
    return `--${flag} ${String(value)}`;
  });
  return flags.filter(Boolean).join(' ');
}

/** The flags as training options, those not given at their defaults. A refusal names flags, where the schema's names fields. */
export function trainOptionsOf(flags: Record<string, unknown>): CompleteTrainOptions {
  const input = inputOf(flags);
  try {
    return trainOptions(input);
  } catch (error) {
    if (!(error instanceof AtelierError) || Object.keys(error.details).length === 0) throw error;
    const problems = Object.entries(error.details).map(
      ([field, problem]) => `${flagOf(field)} ${JSON.stringify(input[field]) ?? ''}: ${problem}`,
    );
    throw new AtelierError(error.code, problems.join('. '), error.details);
  }
}

function flagOf(field: string): string {
  const spec = trainOptionSpecs.find(({ name }) => name === field.split('.')[0]);
  return spec ? `--${spec.flag}` : field;
}
