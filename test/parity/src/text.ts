// text.safetensors: what CLIP and T5 make of the golden ids.
import type { Subject } from './subject';
import { FLOAT } from './table';

export async function text({ fixtures, engine, table }: Subject): Promise<void> {
  const goldens = await fixtures.goldens('text.safetensors');
  const prompts = await fixtures.prompts();
  const clip = await engine.loadClip(fixtures.checkpoint.component('text_encoder'));
  const t5 = await engine.loadT5(fixtures.checkpoint.component('text_encoder_2'));
  const states = goldens.rows('clip_last_hidden_state');
  const pooled = goldens.rows('clip_pooled');
  const embeds = goldens.rows('t5_embeds');
  table.values('prompts', [pooled.length, embeds.length], [prompts.length, prompts.length], 0);
  const t5Embeds = await t5.encode(prompts.map((prompt) => Int32Array.from(prompt.t5)));
  for (const [i, { clip: clipIds }] of prompts.entries()) {
    const encoded = await clip.encode(Int32Array.from(clipIds));
    table.tensor(`clip_pooled ${i}`, encoded.pooled, pooled[i]!, FLOAT);
    if (i < states.length) table.tensor(`clip_last_hidden_state ${i}`, encoded.lastHiddenState, states[i]!, FLOAT);
    table.tensor(`t5_embeds ${i}`, t5Embeds[i], embeds[i]!, FLOAT);
  }
  await Promise.all([clip.dispose(), t5.dispose()]);
}
