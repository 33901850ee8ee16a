import { trainOptionsJson, type Run, type TrainOptionsJson } from '@atelier/contracts';

// How often published recipes visit a picture: Astria 27 times, Replicate about 100, Civitai 200 with ten pictures.
const FEWEST_VISITS = 25;
const MOST_VISITS = 200;

type Warned = Pick<Run, 'options' | 'distinctPictures'>;

/** What a person should know of a run's options before it is over; none of it keeps the run from being trained. */
export function runWarnings({ options, distinctPictures }: Warned): string[] {
  const json = trainOptionsJson(options);
  return [visits(json, distinctPictures), idlePrompts(json)].filter((warning) => warning !== undefined);
}

function visits({ total_steps: steps, accumulation }: TrainOptionsJson, pictures: number): string | undefined {
  if (pictures === 0) return undefined;
  const each = (steps * accumulation) / pictures;
  if (each >= FEWEST_VISITS && each <= MOST_VISITS) return undefined;
  const stepsFor = (count: number): number => Math.max(1, Math.round((count * pictures) / accumulation));
  const samples = accumulation === 1 ? '' : ` of ${accumulation} micro-steps`;
  const [what, remedy] =
    each < FEWEST_VISITS
      ? ['so little is learnt as a rule', `${stepsFor(FEWEST_VISITS)} steps or more`]
      : [
          'so the pictures themselves are learnt as a rule',
          `${stepsFor(MOST_VISITS)} steps or fewer, or more pictures`,
        ];
  return (
    `with ${steps} ${steps === 1 ? 'step' : 'steps'}${samples} ${seen(pictures)} seen ${times(each)}, ${what}: ` +
    `${FEWEST_VISITS} to ${MOST_VISITS} times are usual, which is ${remedy}`
  );
}

const seen = (pictures: number): string => (pictures === 1 ? 'the one picture is' : `each of ${pictures} pictures is`);

function times(count: number): string {
  const shown = count < 10 ? Math.round(count * 10) / 10 : Math.round(count);
  return shown === 1 ? 'once' : `${shown} times`;
}

function idlePrompts({ validation_prompts: prompts, validate_every: every }: TrainOptionsJson): string | undefined {
  if (prompts.length === 0 || every > 0) return undefined;
  return 'validate_every is 0, so the validation prompts are not drawn: leave it out, and they are at the end';
}
