// transformer.safetensors: the velocity at several sigmas, every block's output, a batch of another size, and a base in NF4.
import type { Tensor } from '@atelier/checkpoint';
import type { Transformer } from '@atelier/engine';
import { forward as forwardOf } from './models';
import { difference } from './names';
import { gridOf, packed } from './packing';
import type { Subject } from './subject';
import { FLOAT } from './table';

const SINGLE = /^out_([\d.]+)$/;
const BATCH = /^out_(small_batch.*)$/;
const NF4 = /^out_nf4_([\d.]+)$/;

export async function transformer(subject: Subject): Promise<void> {
  const { fixtures, table } = subject;
  const { guidance, blockSigma, batchSigmas, batchPrompts } = fixtures.settings.forward;
  const goldens = await fixtures.goldens('transformer.safetensors');
  const [latents, prompt, pooled] = [
    goldens.row('latents', 0),
    goldens.row('prompt_embeds', 0),
    goldens.row('pooled', 0),
  ];

  const base = await subject.transformer('none');
  for (const sigma of goldens.names(SINGLE)) {
    const captureBlocks = sigma === blockSigma;
    const outputs = await forward(base, { latents, prompt, pooled, sigma: Number(sigma), guidance, captureBlocks });
    table.tensor(`out_${sigma}`, outputs.out, goldens.row(`out_${sigma}`, 0), FLOAT);
    if (!captureBlocks) continue;
    const blocks = goldens.names(/^(block_.+)$/);
    table.fact(
      'blocks',
      difference(
        Object.keys(outputs).filter((name) => name !== 'out'),
        blocks,
      ),
    );
    for (const block of blocks) table.tensor(block, outputs[block], goldens.row(block, 0), FLOAT);
  }

  const nf4 = await subject.transformer('nf4');
  for (const sigma of goldens.names(NF4)) {
    const { out } = await forward(nf4, {
      latents,
      prompt,
      pooled,
      sigma: Number(sigma),
      guidance,
      captureBlocks: false,
    });
    table.tensor(`out_nf4_${sigma}`, out, goldens.row(`out_nf4_${sigma}`, 0), FLOAT);
  }

  const text = await fixtures.goldens('text.safetensors');
  const small = goldens.rows('latents_small');
  for (const name of goldens.names(BATCH)) {
    for (const [i, expected] of goldens.rows(`out_${name}`).entries()) {
      const row = batchPrompts[i]!;
      const { out } = await forward(base, {
        latents: small[i]!,
        prompt: text.row('t5_embeds', row),
        pooled: text.row('clip_pooled', row),
        sigma: batchSigmas[i]!,
        guidance,
        captureBlocks: false,
      });
      table.tensor(`out_${name} row ${i}`, out, expected, FLOAT);
    }
  }
}

function forward(
  model: Transformer,
  {
    latents,
    prompt,
    pooled,
    ...rest
  }: { latents: Tensor; prompt: Tensor; pooled: Tensor; sigma: number; guidance: number; captureBlocks: boolean },
): Promise<Record<string, Tensor>> {
  return forwardOf(model, {
    ...rest,
    ...gridOf(latents),
    latents: packed(latents).data,
    promptEmbeds: prompt.data,
    pooled: pooled.data,
  });
}
