import { trainOptionSpecs, type TrainOptionsJson, type TrainOptionSpec } from '@atelier/contracts';

type OptionName = keyof TrainOptionsJson;

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

const RULES: readonly Rule[] = [
  // A warm-up that does nothing, or that never comes to its end.
  ({ lr_schedule, warmup_steps }) =>
    warmup_steps > 0 && lr_schedule === 'constant'
      ? {
          option: 'warmup_steps',
          others: ['lr_schedule'],
          problem: 'the schedule "constant" has no warm-up: choose "constant_with_warmup", or leave the warm-up out',
        }
      : undefined,
  ({ warmup_steps, total_steps }) =>
    warmup_steps > total_steps
      ? {
          option: 'warmup_steps',
          others: ['total_steps'],
          problem: `the run has ${total_steps} steps, so the peak learning rate is never reached: use ${total_steps} at most`,
        }
      : undefined,
  ({ validate_every, total_steps, validation_prompts }) =>
    validation_prompts.length > 0 && validate_every > total_steps
      ? {
          option: 'validate_every',
          others: ['total_steps'],
          problem: `the run has ${total_steps} steps, so nothing is ever drawn: use ${total_steps} at most, or leave it out`,
        }
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
