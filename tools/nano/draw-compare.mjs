// Fine-tunes Nano with the engine itself and draws before and after from the same seeds: node tools/nano/draw-compare.mjs [options]
// What the model card's settings were chosen by. --set FOLDER --out FILE.png --steps 200 --rank 16 --lr 2e-3 --quant nf4 --optimizer adamw8bit --text 16 --guidance 3.5 --targets a,b
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import sharp from 'sharp';

const root = join(import.meta.dirname, '..', '..');
const require = createRequire(join(root, 'cli', 'dist', 'main.js'));
const { openCheckpoint, openTokenizers } = require('@atelier/checkpoint');
const { Engine } = require('@atelier/engine');
const SIZE = 128;

const { values: option } = parseArgs({
  options: {
    model: { type: 'string', default: join(root, 'models/nano') },
    set: { type: 'string', default: '' },
    out: { type: 'string', default: 'before-after.png' },
    steps: { type: 'string', default: '200' },
    rank: { type: 'string', default: '16' },
    lr: { type: 'string', default: '2e-3' },
    quant: { type: 'string', default: 'nf4' },
    optimizer: { type: 'string', default: 'adamw8bit' },
    targets: {
      type: 'string',
      default:
        'to_k,to_q,to_v,to_out.0,add_k_proj,add_q_proj,add_v_proj,to_add_out,ff.net.0.proj,ff.net.2,proj_mlp,proj_out',
    },
    text: { type: 'string', default: '16' },
    draw: { type: 'string', default: '20' },
    guidance: { type: 'string', default: '3.5' },
    show: { type: 'string', default: '' },
  },
});

const checkpoint = await openCheckpoint(option.model);
const tokenizers = await openTokenizers(option.model);
const engine = await Engine.open({ device: 'cpu' });
const vae = await engine.loadVae(checkpoint.component('vae'));
const clip = await engine.loadClip(checkpoint.component('text_encoder'));
const t5 = await engine.loadT5(checkpoint.component('text_encoder_2'));
const flux = await engine.loadTransformer(checkpoint.component('transformer'), { quant: option.quant });

async function embeds(text) {
  const promptEmbeds = await t5.encode(tokenizers.t5(text, Number(option.text)));
  const { pooled } = await clip.encode(tokenizers.clip(text));
  return { promptEmbeds, pooled };
}

async function draw(prompts, adapters) {
  const sampler = await flux.createSampler(adapters);
  const pictures = [];
  for (const [prompt, seed] of prompts) {
    const packed = await sampler.generate({
      height: SIZE,
      width: SIZE,
      steps: Number(option.draw),
      guidance: Number(option.guidance),
      seed,
      ...(await embeds(prompt)),
      scheduler: checkpoint.scheduler,
    });
    const { data } = await vae.decodePacked(packed, SIZE, SIZE);
    const rgb = Buffer.alloc(3 * SIZE * SIZE);
    for (let i = 0; i < SIZE * SIZE; i += 1)
      for (let c = 0; c < 3; c += 1)
        rgb[3 * i + c] = Math.max(0, Math.min(255, Math.round((data[c * SIZE * SIZE + i] + 1) * 127.5)));
    pictures.push(
      await sharp(rgb, { raw: { width: SIZE, height: SIZE, channels: 3 } })
        .png()
        .toBuffer(),
    );
  }
  return pictures;
}

async function samples(folder) {
  const shape = { gridH: SIZE / 16, gridW: SIZE / 16, textTokens: Number(option.text) };
  const names = readdirSync(folder)
    .filter((name) => name.endsWith('.png'))
    .sort();
  return Promise.all(
    names.map(async (name, sampleId) => {
      const { data } = await sharp(join(folder, name)).removeAlpha().raw().toBuffer({ resolveWithObject: true });
      const rgb = new Float32Array(3 * SIZE * SIZE);
      for (let i = 0; i < SIZE * SIZE; i += 1)
        for (let c = 0; c < 3; c += 1) rgb[c * SIZE * SIZE + i] = data[3 * i + c] / 127.5 - 1;
      const { mean, logvar } = await vae.encode({ shape: [3, SIZE, SIZE], data: rgb });
      const { promptEmbeds, pooled } = await embeds(
        readFileSync(join(folder, name.replace('.png', '.txt')), 'utf8').trim(),
      );
      return {
        mean: mean.data,
        logvar: logvar.data,
        shape,
        promptEmbeds: promptEmbeds.data,
        pooled: pooled.data,
        sampleId,
      };
    }),
  );
}

async function finetune(set) {
  const steps = Number(option.steps);
  const trainer = await flux.createTrainer(
    {
      rank: Number(option.rank),
      alpha: Number(option.rank),
      targets: option.targets.split(','),
      recompute: false,
      optimizer: option.optimizer,
      learningRate: Number(option.lr),
      lrSchedule: 'cosine',
      warmupSteps: 10,
      totalSteps: steps,
      accumulation: 4,
      seed: 7,
      vaeScaling: vae.scalingFactor,
      vaeShift: vae.shiftFactor,
      ...checkpointShift(),
    },
    [set[0].shape],
  );
  const order = shuffled(4 * steps, set.length);
  let loss = 0;
  const start = Date.now();
  for (let step = 0; step < steps; step += 1) {
    for (let i = 0; i < 4; i += 1) loss += (await trainer.microStep(set[order[4 * step + i]])).loss / 4;
    await trainer.optimizerStep();
    if ((step + 1) % 50 === 0) {
      console.log(`step ${step + 1} ${Math.round((Date.now() - start) / 1000)} s loss ${(loss / 50).toFixed(4)}`);
      loss = 0;
    }
  }
  return trainer.adapter();
}

function checkpointShift() {
  return { dynamicShifting: checkpoint.scheduler.dynamicShifting, shift: checkpoint.scheduler.shift };
}

/** Every picture once an epoch, in a new order each time. */
function shuffled(count, size) {
  let state = 12345;
  const random = () => (state = (state * 1103515245 + 12345) % 2 ** 31) / 2 ** 31;
  const order = [];
  while (order.length < count) {
    const epoch = Array.from({ length: size }, (_, i) => i);
    for (let i = size - 1; i > 0; i -= 1) {
      const j = Math.floor(random() * (i + 1));
      [epoch[i], epoch[j]] = [epoch[j], epoch[i]];
    }
    order.push(...epoch);
  }
  return order;
}

const prompts = JSON.parse(readFileSync(option.show || join(option.model, 'prompts.json'), 'utf8')).prompts.map(
  ({ prompt, seed }) => [prompt, seed],
);
const rows = [await draw(prompts, [])];
if (option.set) rows.push(await draw(prompts, [{ adapter: await finetune(await samples(option.set)), weight: 1 }]));
const tile = SIZE + 4;
await sharp({ create: { width: tile * prompts.length, height: tile * rows.length, channels: 3, background: 'white' } })
  .composite(rows.flatMap((row, y) => row.map((input, x) => ({ input, left: x * tile, top: y * tile }))))
  .png()
  .toFile(option.out);
console.log(prompts.map(([prompt, seed]) => `${prompt} (${seed})`).join('\n'));
await engine.close();
