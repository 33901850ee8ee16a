import {
  AtelierError,
  pictureFormatOf,
  pictureFormats,
  type GenerateWork,
  type PictureFormatName,
} from '@atelier/contracts';

const MAX_SIDE = 4096;

/** What a request may say; whoever queued it may not have checked. Throws INVALID_ARGUMENT that names every bad field at once. */
export function checkWork(work: GenerateWork): { format: PictureFormatName } {
  const details: Record<string, string> = {};
  const expect = (holds: boolean, field: string, problem: string): void => {
    if (!holds) details[field] = problem;
  };
  const whole = (value: number, least: number, most: number): boolean =>
    Number.isSafeInteger(value) && value >= least && value <= most;
  expect(work.prompt !== '', 'prompt', 'is empty: say what to draw');
  for (const side of ['width', 'height'] as const) {
    expect(
      whole(work[side], 16, MAX_SIDE) && work[side] % 16 === 0,
      side,
      `is ${work[side]}: use a multiple of 16 from 16 to ${MAX_SIDE}`,
    );
  }
  expect(whole(work.steps, 1, 1000), 'steps', `is ${work.steps}: use 1 to 1000`);
  expect(whole(work.count, 1, 10), 'count', `is ${work.count}: use 1 to 10`);
  expect(
    whole(work.seed, 0, Number.MAX_SAFE_INTEGER),
    'seed',
    `is ${work.seed}: use a whole number from 0 to 2^53 - 1`,
  );
  expect(
    Number.isFinite(work.guidance) && work.guidance >= 0 && work.guidance <= 100,
    'guidance',
    `is ${work.guidance}: use 0 to 100`,
  );
  const asked = pictureFormatOf(work);
  const format = pictureFormats.find((known) => known === asked);
  expect(format !== undefined, 'format', `is ${JSON.stringify(asked)}: use one of ${pictureFormats.join(', ')}`);
  expect(work.adapters.length <= 16, 'adapters', `are ${work.adapters.length}: use at most 16`);
  for (const [i, { name, weight }] of work.adapters.entries()) {
    expect(
      Number.isFinite(weight),
      `adapters.${i}.weight`,
      `of ${JSON.stringify(name)} is ${weight}: use a finite number, 1 is as trained`,
    );
  }
  if (Object.keys(details).length > 0) {
    const list = Object.entries(details).map(([field, problem]) => `${field} ${problem}`);
    throw new AtelierError('INVALID_ARGUMENT', `the request is not valid: ${list.join('. ')}`, details);
  }
  return { format: format! };
}
