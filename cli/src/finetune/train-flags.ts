import { trainOptions, trainOptionsSchema } from '@atelier/client';
import { AtelierError, type ITrainOptions } from '@atelier/contracts';
import { Option, type Command } from 'commander';
import { collect, decimal, integer, list } from '../parse';

type Field = keyof typeof trainOptionsSchema.shape;

interface Flag {
  flag: string;
  field: Field;
  parse?: (text: string, before: undefined) => unknown;
  /** Where the schema's description does not serve here. */
  about?: string;
}

/** The command line's names for training options. Choices, defaults and limits are the schema's, where the HTTP API has them from too. */
const FLAGS: readonly Flag[] = [
  { flag: '--rank <n>', field: 'rank', parse: integer },
  { flag: '--alpha <x>', field: 'alpha', parse: decimal },
  { flag: '--targets <list>', field: 'targets', parse: list },
  { flag: '--steps <n>', field: 'total_steps', parse: integer },
  { flag: '--lr <x>', field: 'learning_rate', parse: decimal },
  { flag: '--lr-schedule <name>', field: 'lr_schedule', about: 'How the learning rate goes on.' },
  { flag: '--warmup <n>', field: 'warmup_steps', parse: integer, about: 'Steps until the peak learning rate.' },
  { flag: '--weight-decay <x>', field: 'weight_decay', parse: decimal, about: 'Weight decay.' },
  { flag: '--max-grad-norm <x>', field: 'max_grad_norm', parse: decimal },
  { flag: '--accumulation <n>', field: 'accumulation', parse: integer },
  { flag: '--optimizer <name>', field: 'optimizer' },
  { flag: '--quant <name>', field: 'quant' },
  { flag: '--weighting <name>', field: 'weighting' },
  { flag: '--guidance <x>', field: 'guidance', parse: decimal },
  { flag: '--seed <n>', field: 'seed', parse: integer, about: 'Equal seeds train equal adapters.' },
  { flag: '--checkpoint-every <n>', field: 'checkpoint_every', parse: integer },
  { flag: '--validation-prompt <text>', field: 'validation_prompts', parse: collect, about: 'Prompt drawn while training; may be given several times.' },
  { flag: '--validate-every <n>', field: 'validate_every', parse: integer },
  { flag: '--validation-steps <n>', field: 'validation_steps', parse: integer },
  { flag: '--validation-seed <n>', field: 'validation_seed', parse: integer, about: 'Start noise of the validation pictures.' },
  { flag: '--on-bad-sample <what>', field: 'on_bad_sample' },
];

const DEFAULTS = trainOptionsSchema.parse({});

export function addTrainFlags(command: Command): Command {
  for (const { flag, field, parse, about } of FLAGS) {
    const schema = trainOptionsSchema.shape[field];
    const usual = DEFAULTS[field];
    const value = usual === undefined || (Array.isArray(usual) && usual.length === 0) ? '' : ` (default: ${String(usual)})`;
    const option = new Option(flag, `${sentence(about ?? schema.description ?? '')}${value}`).helpGroup('Training:');
    const choices = choicesOf(schema);
    if (choices) option.choices(choices);
    else if (parse) option.argParser(parse as (text: string) => never);
    command.addOption(option);
  }
  return command.addOption(new Option('--no-recompute', 'keep activations instead of computing them again: faster, more memory').helpGroup('Training:'));
}

/** The flags as training options, those not given with the schema's defaults. A refusal names flags, where the schema's names fields. */
export function trainOptionsOf(flags: Record<string, unknown>): ITrainOptions {
  const input: Record<string, unknown> = {};
  for (const { flag, field } of FLAGS) {
    const value = flags[new Option(flag).attributeName()];
    if (value !== undefined) input[field] = value;
  }
  if (flags.recompute === false) input.recompute = false;
  try {
    return trainOptions(input);
  } catch (error) {
    if (!(error instanceof AtelierError) || Object.keys(error.details).length === 0) throw error;
    const problems = Object.entries(error.details).map(([field, problem]) => `${flagOf(field)} ${String(input[field] ?? '')}: ${problem}`);
    throw new AtelierError(error.code, problems.join('. '), error.details);
  }
}

function flagOf(field: string): string {
  return FLAGS.find((known) => known.field === field.split('.')[0])?.flag.split(' ')[0] ?? field;
}

/** The names an option may have, if it is one of a list. */
function choicesOf(schema: unknown): string[] | undefined {
  const inner = (schema as { unwrap?: () => unknown }).unwrap?.() ?? schema;
  return (inner as { options?: string[] }).options;
}

/** As commander's own descriptions are: no capital unless the word has more of them, no full stop. */
function sentence(text: string): string {
  const [word = ''] = text.split(' ');
  const start = /\p{Lu}/u.test(word.slice(1)) ? word : word.toLowerCase();
  return `${start}${text.slice(word.length)}`.replace(/\.$/, '');
}
