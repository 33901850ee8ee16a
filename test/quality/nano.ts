import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Checkpoint, openCheckpoint, openTokenizers, type Tensor, type Tokenizers } from '@atelier/checkpoint';
import {
  type Adapter,
  type BaseQuant,
  type ClipText,
  Engine,
  type Transformer,
  type PartialTrainOptions,
  type Sample,
  type T5Text,
  type Vae,
} from '@atelier/engine';
import sharp from 'sharp';
import { setAdapter } from '../parity/src/models';
import { useTestingAddon } from '../parity/src/testing-addon';

useTestingAddon();

export const SIDE = 128;
const TEXT_TOKENS = 16; // what Nano was trained with
const SHAPE = { gridH: SIDE / 16, gridW: SIDE / 16, textTokens: TEXT_TOKENS };
const MODEL = join(__dirname, '../../models/nano');

/** The demo's choice: every linear of the blocks that works on tokens, except the text's MLP. */
const TARGETS = [
  'to_q',
  'to_k',
  'to_v',
  'to_out.0',
  'add_q_proj',
  'add_k_proj',
  'add_v_proj',
  'to_add_out',
  'ff.net.0.proj',
  'ff.net.2',
  'proj_mlp',
  'proj_out',
];

/** RGB bytes, row by row. */
export type Picture = Uint8Array;

export async function pictures(folder: string): Promise<Picture[]> {
  return Promise.all(
    (await names(folder)).map(
      async (name) => new Uint8Array(await sharp(join(folder, name)).removeAlpha().raw().toBuffer()),
    ),
  );
}

async function names(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter((name) => name.endsWith('.png')).sort();
}

const encoded = new Map<string, Promise<Sample[]>>();

/** Pictures with captions as the trainer takes them, encoded once a folder. */
export function samples(nano: Nano, folder: string): Promise<Sample[]> {
  const there = encoded.get(folder) ?? encode(nano, folder);
  encoded.set(folder, there);
  return there;
}

async function encode(nano: Nano, folder: string): Promise<Sample[]> {
  const all: Sample[] = [];
  const raw = await pictures(folder);
  for (const [i, name] of (await names(folder)).entries()) {
    const caption = (await readFile(join(folder, name.replace('.png', '.txt')), 'utf8')).trim();
    const { mean, logvar } = await nano.vae.encode({ shape: [3, SIDE, SIDE], data: planes(raw[i]!) });
    const { promptEmbeds, pooled } = await nano.prompt(caption);
    all.push({
      mean: mean.data,
      logvar: logvar.data,
      shape: SHAPE,
      promptEmbeds: promptEmbeds.data,
      pooled: pooled.data,
      sampleId: i,
    });
  }
  return all;
}

/** Every picture with its neighbour's caption: the mistake that a data pipeline must never make. */
export function mispaired(right: readonly Sample[]): Sample[] {
  return right.map((sample, i) => {
    const { promptEmbeds, pooled } = right[(i + 1) % right.length]!;
    return { ...sample, promptEmbeds, pooled };
  });
}

/** Nano, loaded into the engine without any service between. */
export class Nano {
  private constructor(
    private readonly engine: Engine,
    private readonly checkpoint: Checkpoint,
    private readonly tokenizers: Tokenizers,
    readonly vae: Vae,
    private readonly clip: ClipText,
    private readonly t5: T5Text,
  ) {}

  static async open(): Promise<Nano> {
    const [checkpoint, tokenizers, engine] = await Promise.all([
      openCheckpoint(MODEL),
      openTokenizers(MODEL),
      Engine.open({ device: 'cpu' }),
    ]);
    const vae = await engine.loadVae(checkpoint.component('vae'));
    const clip = await engine.loadClip(checkpoint.component('text_encoder'));
    const t5 = await engine.loadT5(checkpoint.component('text_encoder_2'));
    return new Nano(engine, checkpoint, tokenizers, vae, clip, t5);
  }

  close(): Promise<void> {
    return this.engine.close();
  }

  transformer(quant: BaseQuant): Promise<Transformer> {
    return this.engine.loadTransformer(this.checkpoint.component('transformer'), { quant });
  }

  async prompt(text: string): Promise<{ promptEmbeds: Tensor; pooled: Tensor }> {
    const [promptEmbeds] = (await this.t5.encode([this.tokenizers.t5(text, TEXT_TOKENS)])) as [Tensor];
    const { pooled } = await this.clip.encode(this.tokenizers.clip(text));
    return { promptEmbeds, pooled };
  }

  /** Fine-tunes on `set`, every picture once an epoch, four to a step. */
  async finetune(
    base: Transformer,
    set: readonly Sample[],
    steps: number,
    options: PartialTrainOptions = {},
  ): Promise<Adapter> {
    const trainer = await base.createTrainer(
      {
        rank: 16,
        alpha: 16,
        targets: TARGETS,
        recompute: false,
        learningRate: 2e-3,
        lrSchedule: 'cosine',
        warmupSteps: 10,
        totalSteps: steps,
        accumulation: 4,
        seed: 7,
        ...this.scaling(),
        ...options,
      },
      [SHAPE],
    );
    const order = epochs(set.length, 4 * steps);
    for (let step = 0; step < steps; step += 1) {
      for (const i of order.slice(4 * step, 4 * step + 4)) await trainer.microStep(set[i]!);
      await trainer.optimizerStep();
    }
    const adapter = await trainer.adapter();
    await trainer.dispose();
    return adapter;
  }

  /** Mean flow-matching loss over `set` at fixed noise levels with fixed noise: the same question to every adapter. Null: the base alone. */
  async loss(
    base: Transformer,
    set: readonly Sample[],
    adapter: Adapter | null,
    timesteps: readonly number[] = [150, 400, 650, 900],
  ): Promise<number> {
    const count = set.length * timesteps.length;
    const trainer = await base.createTrainer(
      { rank: 16, alpha: 16, targets: TARGETS, recompute: true, accumulation: count, seed: 1, ...this.scaling() },
      [SHAPE],
    );
    if (adapter) await setAdapter(trainer, adapter); // else its second factors are zero, which is the base
    let sum = 0;
    for (const timestepIndex of timesteps)
      for (const sample of set) sum += (await trainer.microStep({ ...sample, timestepIndex })).loss;
    await trainer.dispose();
    return sum / count;
  }

  /** Packed latents of each prompt, seeds counting from 1. */
  async latents(
    base: Transformer,
    prompts: readonly string[],
    adapter: Adapter | null,
    { fused = false } = {},
  ): Promise<Tensor[]> {
    const sampler = await base.createSampler(adapter ? [{ adapter, weight: 1 }] : [], { fused });
    const all: Tensor[] = [];
    for (const [i, text] of prompts.entries()) {
      all.push(
        await sampler.generate({
          height: SIDE,
          width: SIDE,
          steps: 12,
          guidance: 3.5,
          seed: i + 1,
          ...(await this.prompt(text)),
          scheduler: this.checkpoint.scheduler,
        }),
      );
    }
    await sampler.dispose();
    return all;
  }

  async decode(latents: readonly Tensor[]): Promise<Picture[]> {
    const all: Picture[] = [];
    for (const packed of latents) {
      const { data } = await this.vae.decodePacked(packed, SIDE, SIDE);
      all.push(
        Uint8Array.from({ length: data.length }, (_, i) =>
          Math.max(0, Math.min(255, Math.round((data[(i % 3) * SIDE * SIDE + Math.floor(i / 3)]! + 1) * 127.5))),
        ),
      );
    }
    return all;
  }

  private scaling() {
    const { dynamicShifting, shift } = this.checkpoint.scheduler;
    return { vaeScaling: this.vae.scalingFactor, vaeShift: this.vae.shiftFactor, dynamicShifting, shift };
  }
}

function planes(rgb: Picture): Float32Array {
  return Float32Array.from(
    { length: rgb.length },
    (_, i) => rgb[3 * (i % (SIDE * SIDE)) + Math.floor(i / (SIDE * SIDE))]! / 127.5 - 1,
  );
}

/** Indices below `size`, each once an epoch, in a new order each time; the same for every caller. */
function epochs(size: number, count: number): number[] {
  let state = 12345;
  const below = (n: number) => ((state = (state * 1103515245 + 12345) % 2 ** 31) >> 8) % n;
  const order: number[] = [];
  while (order.length < count) {
    const epoch = Array.from({ length: size }, (_, i) => i);
    for (let i = size - 1; i > 0; i -= 1) {
      const j = below(i + 1);
      [epoch[i], epoch[j]] = [epoch[j]!, epoch[i]!];
    }
    order.push(...epoch);
  }
  return order;
}
