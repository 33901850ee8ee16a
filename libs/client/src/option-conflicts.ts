import { trainOptionSpecs, type TrainOptionsJson, type TrainOptionSpec } from '@atelier/contracts';

type OptionName = keyof TrainOptionsJson;

/** Scorings are kept in the run's entry. */
const MOST_SCORINGS = 2000;

/** An option that does nothing beside others, or that they contradict. */
export interface Conflict {
  option: OptionName;
  others: readonly OptionName[];
  /** Why, and what would do. */
  problem: string;
}

/** Settings that nobody can mean: each would be ignored, or end the run. The engine refuses the worst of them too. */
export function conflictsOf(options: TrainOptionsJson): Conflict[] {
  return [...trainOptionSpecs.map((spec) => idle(spec, options)), ...RULES.map((rule) => rule(options))].filter(
    (conflict) => conflict !== undefined,
  );
}

function idle({ name, onlyWith, default: usual }: TrainOptionSpec, options: TrainOptionsJson): Conflict | undefined {
  if (!onlyWith || options[name] === usual) return undefined;
  const { option, values } = onlyWith;
  const other = options[option];
  if (values ? values.includes(String(other)) : (other as unknown[]).length > 0) return undefined;
  const wanted = values ? values.map((value) => `"${value}"`).join(' or ') : 'given';
  const found = values ? `it is "${String(other)}"` : 'it is not';
  return {
    option: name,
    others: [option],
    problem: `does something only where ${option} is ${wanted}, and ${found}: change that, or leave this out`,
  };
}

type Rule = (options: TrainOptionsJson) => Conflict | undefined;

/** A step that comes after the run's last. */
const ofTheRun =
  (option: 'warmup_steps' | 'validate_every' | 'adapter_every' | 'caption_check', never: string, or = ''): Rule =>
  ({ total_steps: steps, ...options }) =>
    options[option] > steps
      ? {
          option,
          others: ['total_steps'],
          problem: `the run has ${steps} steps, so ${never}: use ${steps} at most${or}`,
        }
      : undefined;

const remedy = 'there is no held-out loss to go by: give a share, held_out 0.1';

/** Of adapters by step and of scoring: what is asked for and would never come to be. */
const KEEPING: readonly Rule[] = [
  ({ keep, held_out }) =>
    keep === 'best' && held_out === 0 ? { option: 'keep', others: ['held_out'], problem: remedy } : undefined,
  ({ patience, held_out }) =>
    patience > 0 && held_out === 0 ? { option: 'patience', others: ['held_out'], problem: remedy } : undefined,
  ({ held_out_every, held_out, total_steps }) => {
    const least = Math.ceil(total_steps / MOST_SCORINGS);
    if (held_out === 0 || held_out_every >= least) return undefined;
    const problem = `a run keeps ${MOST_SCORINGS} scorings: use ${least} or more for ${total_steps} steps`;
    return { option: 'held_out_every', others: ['total_steps'], problem };
  },
  ofTheRun('adapter_every', 'none is kept by step'),
  ofTheRun('caption_check', 'it never comes to it'),
  ({ adapter_every, keep }) =>
    adapter_every > 0 && keep === 'best'
      ? {
          option: 'adapter_every',
          others: ['keep'],
          problem: 'keep "best" keeps the adapter of the lowest held-out loss, whenever that is: give one of them',
        }
      : undefined,
  ({ adapter_every, keep }) =>
    adapter_every === 0 && keep === 'last'
      ? { option: 'keep', others: ['adapter_every'], problem: 'no adapter is kept by step: give adapter_every' }
      : undefined,
  ({ adapter_every, keep_most, keep }) =>
    keep_most > 0 && (adapter_every === 0 || keep !== 'all')
      ? {
          option: 'keep_most',
          others: ['adapter_every', 'keep'],
          problem: 'it counts the adapters of adapter_every where all are kept: give that, with keep "all"',
        }
      : undefined,
];

const RULES: readonly Rule[] = [
  ...KEEPING,
  // A warm-up that does nothing, or that never comes to its end.
  ({ lr_schedule, warmup_steps }) =>
    warmup_steps > 0 && lr_schedule === 'constant'
      ? {
          option: 'warmup_steps',
          others: ['lr_schedule'],
          problem: 'the schedule "constant" has no warm-up: choose "constant_with_warmup", or leave the warm-up out',
        }
      : undefined,
  ofTheRun('warmup_steps', 'the peak learning rate is never reached'),
  (options) =>
    options.validation_prompts.length > 0
      ? ofTheRun('validate_every', 'nothing is ever drawn', ', or leave it out')(options)
      : undefined,
  ({ weighting, timestep_sampling }) =>
    timestep_sampling !== 'sigma' && (weighting === 'logit_normal' || weighting === 'mode')
      ? {
          option: 'weighting',
          others: ['timestep_sampling'],
          problem: `"${weighting}" draws among the scheduler's sigmas, and timestep_sampling "${timestep_sampling}" draws otherwise: give one of them`,
        }
      : undefined,
  ({ weighting, timestep_sampling, min_sigma }) =>
    weighting === 'sigma_sqrt' && ['uniform', 'sigmoid'].includes(timestep_sampling) && min_sigma === 0
      ? {
          option: 'weighting',
          others: ['timestep_sampling', 'min_sigma'],
          problem: `"sigma_sqrt" divides by sigma², which timestep_sampling "${timestep_sampling}" draws as close to 0 as may be: give a min_sigma, such as 0.001`,
        }
      : undefined,
  ({ flow_shift, resolution_shift }) =>
    resolution_shift && flow_shift !== 1
      ? {
          option: 'flow_shift',
          others: ['resolution_shift'],
          problem: 'resolution_shift makes a shift of its own: give one of them',
        }
      : undefined,
  ({ min_sigma, max_sigma }) =>
    min_sigma >= max_sigma
      ? {
          option: 'min_sigma',
          others: ['max_sigma'],
          problem: `it is not below max_sigma, which is ${max_sigma}, so nothing is left to be trained on: make it less`,
        }
      : undefined,
];
