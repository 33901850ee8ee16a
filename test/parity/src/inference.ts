// inference.safetensors: pictures from given start noise, with and without adapters, over a float32 and an NF4 base.
import type { Tensor } from '@atelier/checkpoint';
import { Adapter, type AdapterUse } from '@atelier/engine';
import type { Fixtures } from './fixtures';
import type { Subject } from './subject';
import { RUN } from './table';

export async function inference(subject: Subject): Promise<void> {
  const { fixtures, engine, table } = subject;
  const goldens = await fixtures.goldens('inference.safetensors');
  const { scheduler, vaeConfig } = fixtures.checkpoint;
  const { steps, guidance } = fixtures.settings.inference;
  const latents = goldens.row('latents', 0);
  const [promptEmbeds, pooled] = [goldens.row('prompt_embeds', 0), goldens.row('pooled', 0)];
  const [height, width] = latents.shape.slice(-2).map((side) => side * vaeConfig.downscale) as [number, number];
  const vae = await engine.loadVae(fixtures.checkpoint.component('vae'));
  const drawings = goldens.names(/^(.+)_latents$/);
  for (const drawing of drawings) {
    const { quant, adapters, fused } = await setUp(fixtures, drawing, drawings);
    const model = await subject.transformer(quant);
    const sampler = await model.createSampler(adapters, { fused });
    const drawn = await sampler.generate({
      height,
      width,
      steps,
      guidance,
      seed: 0,
      promptEmbeds,
      pooled,
      latents,
      scheduler,
    });
    table.tensor(`${drawing}_latents`, drawn, goldens.row(`${drawing}_latents`, 0), RUN);
    table.tensor(
      `${drawing}_image`,
      picture(await vae.decodePacked(drawn, height, width)),
      goldens.row(`${drawing}_image`, 0),
      RUN,
    );
    await sampler.dispose();
  }
  await vae.dispose();
}

/** What a drawing's name says: base or lora_<adapter>, lora_two (weighted) or lora_fused (the adapter that is drawn alone), then _nf4. */
async function setUp(fixtures: Fixtures, drawing: string, drawings: string[]) {
  const quant = drawing.endsWith('_nf4') ? ('nf4' as const) : ('none' as const);
  const name = drawing.replace(/_nf4$/, '');
  const known = await fixtures.adapters();
  const alone = known.filter((adapter) => drawings.includes(`lora_${adapter}`));
  const use = async (adapter: string, weight: number): Promise<AdapterUse> => ({
    adapter: await Adapter.load(fixtures.path(fixtures.adapterFile(adapter))),
    weight,
  });
  if (name === 'base') return { quant, adapters: [], fused: false };
  if (name === 'lora_two')
    return {
      quant,
      adapters: await Promise.all(fixtures.settings.inference.mix.map(({ adapter, weight }) => use(adapter, weight))),
      fused: false,
    };
  const fused = name === 'lora_fused';
  const adapter = fused ? alone[0] : name.slice('lora_'.length);
  if (adapter === undefined || !known.includes(adapter))
    throw new Error(`inference.safetensors: ${drawing} is of an adapter that the folder does not hold`);
  return { quant, adapters: [await use(adapter, 1)], fused };
}

/** (3, H, W) in -1..1 to (H, W, 3) in 0..1, clamped. */
function picture({ shape, data }: Tensor): Tensor {
  const [channels, height, width] = shape as [number, number, number];
  const pixels = new Float32Array(data.length);
  for (let c = 0; c < channels; c++) {
    for (let p = 0; p < height * width; p++)
      pixels[p * channels + c] = Math.min(1, Math.max(0, data[c * height * width + p]! / 2 + 0.5));
  }
  return { shape: [height, width, channels], data: pixels };
}
