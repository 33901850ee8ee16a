// schedules.json: learning-rate factors, loss weights, training timesteps, and the sigmas of drawing.
import type { LrScheduleKindName, WeightingName } from '@atelier/contracts';
import { inferenceSigmas, lossWeight, lrSchedule } from './pieces';
import { microBatches, runOptions, shapesOf } from './samples';
import type { Subject } from './subject';
import { FLOAT } from './table';

interface Schedules {
  sigmas_for_weighting: number[];
  loss_weighting: Record<string, number[]>;
  train_timesteps_first_last?: [first: number, second: number, last: number];
  inference: {
    steps: number;
    height: number;
    width: number;
    mu?: number | null;
    sigmas: number[];
    timesteps: number[];
  }[];
  [schedule: `lr_${string}`]: number[];
}

const CLOSE = 1e-6; // closed formulas in float64 or rounded once to float32
const LR = /^lr_(.+)_warmup(\d+)_total(\d+)_cycles([\d.]+)_power([\d.]+)$/;

export async function schedules(subject: Subject): Promise<void> {
  const { fixtures, table } = subject;
  const goldens = await fixtures.json<Schedules>('schedules.json');
  const { scheduler, vaeConfig } = fixtures.checkpoint;
  for (const [name, expected] of Object.entries(goldens)) {
    const [, schedule, warmup, total, cycles, power] = LR.exec(name) ?? [];
    if (schedule)
      table.values(
        name,
        lrSchedule(schedule as LrScheduleKindName, {
          warmup: Number(warmup),
          total: Number(total),
          cycles: Number(cycles),
          power: Number(power),
        }),
        expected as number[],
        CLOSE,
      );
  }
  for (const [weighting, expected] of Object.entries(goldens.loss_weighting)) {
    table.scalars(
      `loss_weighting ${weighting}`,
      goldens.sigmas_for_weighting.map((sigma) => lossWeight(weighting as WeightingName, sigma)),
      expected,
      FLOAT,
    );
  }
  for (const { steps, height, width, mu, sigmas, timesteps } of goldens.inference) {
    const name = `inference ${steps} steps ${height}x${width}`;
    const pixels = 2 * vaeConfig.downscale; // a side of a token
    const found = inferenceSigmas(steps, Math.floor(height / pixels) * Math.floor(width / pixels), scheduler);
    table.scalars(`${name} sigmas`, found.sigmas, sigmas, CLOSE);
    table.scalars(
      `${name} timesteps`,
      Array.from(found.sigmas.subarray(0, -1), (sigma) => sigma * scheduler.numTrainTimesteps),
      timesteps,
      CLOSE,
    );
    if (scheduler.dynamicShifting && typeof mu === 'number') table.values(`${name} mu`, [found.mu], [mu], CLOSE);
  }
  if (goldens.train_timesteps_first_last) await trainingTimesteps(subject, goldens.train_timesteps_first_last);
}

/** Of the first, the second and the last entry of the training schedule, as a trainer uses them. */
async function trainingTimesteps(subject: Subject, expected: number[]): Promise<void> {
  const { fixtures, table } = subject;
  const sample = microBatches(await fixtures.goldens('training.safetensors'))[0]!;
  const count = fixtures.checkpoint.scheduler.numTrainTimesteps;
  const model = await subject.transformer('none');
  const trainer = await model.createTrainer({ ...runOptions(fixtures), accumulation: 3 }, shapesOf([sample]));
  const found: number[] = [];
  for (const timestepIndex of [0, 1, count - 1])
    found.push((await trainer.microStep({ ...sample, timestepIndex })).sigma * count);
  await trainer.dispose();
  table.scalars('train_timesteps_first_last', found, expected, CLOSE);
}
