// training.safetensors: whole runs over an NF4 base, one an optimizer, from the same start with the same draws: every loss and gradient
// norm, and the weights at the end, which the adapter files hold as well.
import { Adapter, type OptimizerKind, type Sample } from '@atelier/engine';
import type { Goldens } from './goldens';
import { createAdapter, modulesOf, setAdapter } from './models';
import { difference } from './names';
import { type Gap, gapBetween, joined, type Outcome } from './outcome';
import { microBatches, runOptions, shapesOf } from './samples';
import type { Subject } from './subject';
import { RUN } from './table';
import { loraAdapter, loraNames, matricesOf } from './weights';

// Two float32 libraries' gradients lie about this far apart (see the subject "gradients"). Rounding optimizer states to 8 bits at every
// size makes more of it: a difference in the last digit moves a state by a whole code, and the next update by as much.
const NUDGE = 5e-6;
const NUDGES = 4;
const HEADROOM = 3;
const LOOSEST = 0.2;

export async function training(subject: Subject): Promise<void> {
  const { fixtures, table } = subject;
  const goldens = await fixtures.goldens('training.safetensors');
  const samples = microBatches(goldens);
  const timesteps = fixtures.checkpoint.scheduler.numTrainTimesteps;
  const files = await fixtures.adapters();
  for (const kind of goldens.names(/^(.+)_loss$/) as OptimizerKind[]) {
    const expected = goldenOutcome(goldens, kind);
    const got = await run(subject, goldens, kind, samples, 0);
    const allowed = await tolerances(subject, goldens, kind, samples, got, expected);
    table.scalars(`${kind} sigma`, got.sigmas, goldens.tensor('sigma').data, 1e-6);
    table.scalars(
      `${kind} timestep`,
      got.sigmas.map((sigma) => sigma * timesteps),
      goldens.tensor('timestep').data,
      1e-6,
    );
    table.scalars(`${kind}_loss`, got.losses, expected.losses, allowed.losses);
    table.scalars(`${kind}_grad_norm`, got.norms, expected.norms, allowed.norms);
    const names = Object.keys(expected.weights);
    table.fact(`${kind} trained matrices`, difference(Object.keys(got.weights), names));
    table.rms(`${kind}_end as one`, joined(got, names), joined(expected, names), allowed.whole);
    for (const name of names)
      table.tensor(`${kind}_end ${name}`, got.weights[name], expected.weights[name]!, allowed.weights);
    if (!files.includes(kind)) continue;
    const file = await fixtures.goldens(fixtures.adapterFile(kind));
    for (const [name, full] of loraNames(file, 'transformer'))
      table.tensor(`lora_${kind} ${name}`, got.weights[name], file.tensor(full), allowed.weights);
  }
}

function goldenOutcome(goldens: Goldens, kind: string): Outcome {
  return {
    losses: goldens.tensor(`${kind}_loss`).data,
    norms: goldens.tensor(`${kind}_grad_norm`).data,
    weights: Object.fromEntries(
      [...loraNames(goldens, `${kind}_end`)].map(([name, full]) => [name, goldens.tensor(full)]),
    ),
  };
}

/** @param nudge moves the start weights by a millionth part or so; each number gives another run, 0 the golden's */
async function run(
  subject: Subject,
  goldens: Goldens,
  optimizer: OptimizerKind,
  samples: Sample[],
  nudge: number,
): Promise<Outcome & { sigmas: number[] }> {
  const { fixtures } = subject;
  const { accumulation, alpha } = fixtures.settings;
  const model = await subject.transformer('nf4');
  const trainer = await model.createTrainer({ ...runOptions(fixtures), optimizer }, shapesOf(samples));
  await setAdapter(trainer, nudged(loraAdapter(goldens, 'start', alpha), nudge));
  const losses: number[] = [];
  const sigmas: number[] = [];
  const norms: number[] = [];
  for (const [i, sample] of samples.entries()) {
    const { loss, sigma } = await trainer.microStep(sample);
    losses.push(loss);
    sigmas.push(sigma);
    if ((i + 1) % accumulation === 0) norms.push((await trainer.optimizerStep()).gradNorm);
  }
  const weights = matricesOf(modulesOf(await trainer.adapter()));
  await trainer.dispose();
  return { losses, sigmas, norms, weights };
}

/**
 * RUN, unless this run itself is so sensitive that starts a rounding error apart end further apart than that: then as far as those do, with
 * some headroom. Measured only where it is needed.
 */
async function tolerances(
  subject: Subject,
  goldens: Goldens,
  kind: OptimizerKind,
  samples: Sample[],
  got: Outcome,
  expected: Outcome,
): Promise<Gap> {
  const allowed: Gap = { losses: RUN, norms: RUN, weights: RUN, whole: RUN };
  const keys = Object.keys(allowed) as (keyof Gap)[];
  const gap = gapBetween(got, expected);
  if (keys.every((key) => gap[key] <= RUN)) return allowed;
  for (let nudge = 1; nudge <= NUDGES; nudge++) {
    const spread = gapBetween(await run(subject, goldens, kind, samples, nudge), got);
    for (const key of keys) allowed[key] = Math.min(LOOSEST, Math.max(allowed[key], HEADROOM * spread[key]));
  }
  subject.table.note(`${kind}: tolerances from ${NUDGES} runs whose start weights were moved by ${NUDGE}`);
  return allowed;
}

function nudged(adapter: Adapter, nudge: number): Adapter {
  if (nudge === 0) return adapter;
  const moved = (values: Float32Array) =>
    values.map((value, i) => value * (1 + NUDGE * Math.sin((i + 1) * (nudge + 0.5))));
  const modules = Object.entries(modulesOf(adapter)).map(
    ([path, module]) => [path, { ...module, a: moved(module.a), b: moved(module.b) }] as const,
  );
  return createAdapter(Object.fromEntries(modules));
}
