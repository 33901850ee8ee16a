// lora_grads.safetensors: prediction, loss and every gradient of one sample at a given sigma, over a float32 and an NF4 base; with
// activations kept and with activations computed again.
import type { BaseQuant, Sample, Trainer } from '@atelier/engine';
import type { Goldens } from './goldens';
import { gradientsOf, lastPrediction, setAdapter } from './models';
import { difference } from './names';
import { gridOf } from './packing';
import type { Subject } from './subject';
import { FLOAT, type Table } from './table';
import { loraAdapter, loraNames } from './weights';

const BASES: Record<string, BaseQuant> = { fp32: 'none', nf4: 'nf4' };
const FILE = 'lora_grads.safetensors';

export async function gradients(subject: Subject): Promise<void> {
  const { fixtures, table } = subject;
  const { rank, alpha, targets, gradients: at } = fixtures.settings;
  const goldens = await fixtures.goldens(FILE);
  const sample = given(goldens, at.sigma);
  for (const base of goldens.names(/^(.+)_pred$/)) {
    if (!BASES[base]) throw new Error(`${FILE}: ${base}_pred is of a base this suite does not know`);
    const model = await subject.transformer(BASES[base]);
    for (const recompute of [false, true]) {
      // The sample is its posterior's mean, used as it is.
      const trainer = await model.createTrainer(
        {
          rank,
          alpha,
          targets,
          recompute,
          guidance: at.guidance,
          maxGradNorm: 1e6,
          vaeScaling: 1,
          vaeShift: 0,
          dynamicShifting: true,
          numTrainTimesteps: sample.timesteps,
        },
        [sample.shape],
      );
      await setAdapter(trainer, loraAdapter(goldens, 'weight', alpha));
      await compare(table, goldens, base, trainer, sample, recompute ? ' (recomputed)' : '');
      await trainer.dispose();
    }
  }
}

async function compare(
  table: Table,
  goldens: Goldens,
  base: string,
  trainer: Trainer,
  sample: Sample,
  how: string,
): Promise<void> {
  const { loss } = await trainer.microStep(sample);
  table.tensor(`${base}_pred${how}`, await lastPrediction(trainer), goldens.row(`${base}_pred`, 0), FLOAT);
  table.values(`${base}_loss${how}`, [loss], goldens.tensor(`${base}_loss`).data, FLOAT);
  const found = await gradientsOf(trainer);
  const names = loraNames(goldens, `${base}_grad`);
  table.fact(`${base} trained modules${how}`, difference(Object.keys(found), [...names.keys()]));
  for (const [name, golden] of names)
    table.tensor(`${base}_grad ${name}${how}`, found[name], goldens.tensor(golden), FLOAT);
}

/** A sample whose latents, noise and timestep are all given: the index is that of the sigma in an unshifted schedule of enough timesteps. */
function given(goldens: Goldens, sigma: number): Sample & { timesteps: number } {
  const latents = goldens.row('latents', 0);
  const prompt = goldens.row('prompt_embeds', 0);
  const timesteps = [1e3, 1e4, 1e5, 1e6].find((n) => Math.fround(Math.round(sigma * n) / n) === Math.fround(sigma));
  if (timesteps === undefined) throw new Error(`sigma ${sigma} is no step of a schedule`);
  return {
    mean: latents.data,
    logvar: new Float32Array(latents.data.length),
    eps: new Float32Array(latents.data.length),
    noise: goldens.row('noise', 0).data,
    timestepIndex: timesteps - Math.round(sigma * timesteps),
    timesteps,
    shape: { ...gridOf(latents), textTokens: prompt.shape[0]! },
    promptEmbeds: prompt.data,
    pooled: goldens.row('pooled', 0).data,
    sampleId: 0,
  };
}
