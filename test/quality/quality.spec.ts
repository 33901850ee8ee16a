// Does fine-tuning do what it is for? Nano, which really draws, learns a style from 28 pictures, and is measured on pictures of combinations
// that neither its base nor the fine-tuning has seen. Every bound was chosen from measured values, which stand beside it.
import { join } from 'node:path';
import type { Adapter, Transformer, Sample } from '@atelier/engine';
import { mispaired, Nano, type Picture, pictures, samples } from './nano';
import { StyleMeasure } from './style';

jest.setTimeout(600_000);

const STEPS = 100; // of four pictures
const PROMPTS = [
  'a red house in the snow at sunset',
  'a red mushroom in the snow on a clear day',
  'a yellow tower in a meadow on a clear day',
  'an orange tent in a meadow on a clear day',
];
const heldOut = (style: string): string => join(__dirname, 'held-out', style);
const finetuningSet = (style: string): string => join(__dirname, '../../examples', `nano-${style}`);

let nano: Nano;
let nf4: Transformer;

/** One fine-tuning a style, in NF4 with the default optimizer: several tests look at it. */
const finetuned = new Map<string, Promise<Adapter>>();
function styled(style: string): Promise<Adapter> {
  const there =
    finetuned.get(style) ?? samples(nano, finetuningSet(style)).then((set) => nano.finetune(nf4, set, STEPS));
  finetuned.set(style, there);
  return there;
}

beforeAll(async () => {
  nano = await Nano.open();
  nf4 = await nano.transformer('nf4');
});
afterAll(() => nano.close());

describe.each(['art-nouveau', 'blueprint'])('the style %s', (style) => {
  let measure: StyleMeasure;
  let unseen: Sample[];
  let adapter: Adapter;

  beforeAll(async () => {
    measure = new StyleMeasure(await pictures(heldOut('plain')), await pictures(heldOut(style)));
    unseen = await samples(nano, heldOut(style));
    adapter = await styled(style);
  });

  const drawn = async (of: Adapter | null): Promise<Picture[]> => nano.decode(await nano.latents(nf4, PROMPTS, of));

  it('is told from the base style by the measure, on pictures that the measure was not made from', async () => {
    for (const picture of await pictures(finetuningSet(style))) expect(measure.of(picture)).toBeGreaterThan(0.5);
    for (const picture of await drawn(null)) expect(measure.of(picture)).toBeLessThan(0.2); // 0.08 at most
  });

  it('is learned: the loss on unseen pictures falls to less than four tenths', async () => {
    const before = await nano.loss(nf4, unseen, null);
    expect(await nano.loss(nf4, unseen, adapter)).toBeLessThan(0.4 * before); // 0.32 and 0.27
  });

  it('arrives in what is drawn, from the same prompts and seeds', async () => {
    const moved = measure.mean(await drawn(adapter)) - measure.mean(await drawn(null));
    expect(moved).toBeGreaterThan(0.35); // 0.60 and 0.66
  });
});

describe('what must not matter', () => {
  let set: Sample[];
  let unseen: Sample[];
  let adapter: Adapter;
  let loss: number;

  beforeAll(async () => {
    set = await samples(nano, finetuningSet('art-nouveau'));
    unseen = await samples(nano, heldOut('art-nouveau'));
    adapter = await styled('art-nouveau');
    loss = await nano.loss(nf4, unseen, adapter);
  });

  it('four bits: a base in NF4 ends within two per cent of the base in float32', async () => {
    const fp32 = await nano.transformer('none');
    const whole = await nano.loss(fp32, unseen, await nano.finetune(fp32, set, STEPS));
    expect(Math.abs(loss / whole - 1)).toBeLessThan(0.02); // 0.011
  });

  it('eight bits: AdamW with 8-bit states ends within one per cent of AdamW with 32', async () => {
    const full = await nano.loss(nf4, unseen, await nano.finetune(nf4, set, STEPS, { optimizer: 'adamw' }));
    expect(Math.abs(loss / full - 1)).toBeLessThan(0.01); // 0.0013
  });

  it('where the adapter is: beside the weights or fused into them, the same latents', async () => {
    const fp32 = await nano.transformer('none');
    const beside = await nano.latents(fp32, PROMPTS, adapter);
    const fused = await nano.latents(fp32, PROMPTS, adapter, { fused: true });
    const without = await nano.latents(fp32, PROMPTS, null);
    for (const [i, latents] of beside.entries()) {
      expect(distance(latents.data, fused[i]!.data)).toBeLessThan(1e-5); // 4e-7
      expect(distance(latents.data, without[i]!.data)).toBeGreaterThan(0.3); // 1.06: the adapter does something
    }
  });
});

describe('a wrong pairing of captions and latents', () => {
  /** How much dearer a data set gets when every caption is moved on by one. Above 1.3 where captions belong to their pictures. */
  const pairing = async (set: readonly Sample[]): Promise<number> =>
    (await nano.loss(nf4, mispaired(set), null)) / (await nano.loss(nf4, set, null));

  it('is seen in a data set by the base, which knows what captions mean', async () => {
    const right = await samples(nano, heldOut('plain'));
    expect(await pairing(right)).toBeGreaterThan(1.3); // 1.91
    expect(await pairing(mispaired(right))).toBeLessThan(1.1); // planted
  });

  it('is seen in what was learned from it', async () => {
    const set = await samples(nano, finetuningSet('art-nouveau'));
    const unseen = await samples(nano, heldOut('art-nouveau'));
    const noisy = [650, 800, 950]; // where the picture is nearly gone, only the caption tells
    const gain = async (adapter: Adapter): Promise<number> =>
      (await nano.loss(nf4, mispaired(unseen), adapter, noisy)) / (await nano.loss(nf4, unseen, adapter, noisy)) - 1;
    const right = await gain(await styled('art-nouveau'));
    const planted = await gain(await nano.finetune(nf4, mispaired(set), STEPS));
    expect(planted).toBeLessThan(0.6 * right);
  });
});

/** Relative to the first. */
function distance(a: Float32Array, b: Float32Array): number {
  let [difference, size] = [0, 0];
  for (const [i, value] of a.entries()) {
    difference += (value - b[i]!) ** 2;
    size += value ** 2;
  }
  return Math.sqrt(difference / size);
}
