// The way of a picture and its caption through upload, both encoders, the caches and the trainer: they must meet again. Nano's base knows what
// captions mean, so the losses of a run that learns next to nothing say whether they did.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Atelier } from '../support/atelier';
import type { Files } from '../support/api';

jest.setTimeout(300_000);

const PICTURES = join(__dirname, 'held-out', 'plain');
const EPOCHS = 4;
let atelier: Atelier;

beforeAll(async () => {
  atelier = await Atelier.start({ ATELIER_MODEL: join(__dirname, '../../models/nano'), ATELIER_TEXT_TOKENS: '16' });
});
afterAll(() => atelier.stop());

/** The files as a person uploads them, each picture with the caption of the one `shift` further on. */
async function files(shift: number): Promise<Files> {
  const names = (await readdir(PICTURES)).filter((name) => name.endsWith('.png')).sort();
  const all: Files = {};
  for (const [i, name] of names.entries()) {
    all[name] = await readFile(join(PICTURES, name));
    all[name.replace('.png', '.txt')] = await readFile(
      join(PICTURES, names[(i + shift) % names.length]!.replace('.png', '.txt')),
    );
  }
  return all;
}

async function meanLoss(name: string, shift: number): Promise<number> {
  const dataset = await atelier.api.upload({ name, width: '128', height: '128' }, await files(shift));
  const count = Object.keys(await files(shift)).length / 2;
  const run = await atelier.api.finetune({
    dataset: dataset.id,
    name,
    learning_rate: 1e-9,
    steps: EPOCHS * count,
    seed: 3,
  });
  let [sum, steps] = [0, 0];
  for await (const event of atelier.api.follow(run.id)) {
    if (event.type !== 'step') continue;
    sum += event['loss'] as number;
    steps += 1;
  }
  expect(steps).toBe(EPOCHS * count);
  return sum / steps;
}

it('captions arrive with their own pictures: moved on by one before the upload, they cost half as much again', async () => {
  const right = await meanLoss('right', 0);
  const planted = await meanLoss('planted', 1); // the same pictures, noise and order
  expect(planted / right).toBeGreaterThan(1.3); // 1.06 with a trainer that takes the next sample's caption
});
