// Compares the engine's loaders and forward passes on Nano with the reference libraries' numbers: node tools/nano/check.mjs MODEL EXPECTED
// EXPECTED is what expected.py wrote. Ids must be equal; a forward pass may differ by 1e-3 of its largest value (the weights are bfloat16).
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const require = createRequire(join(import.meta.dirname, '..', '..', 'cli', 'dist', 'main.js'));
const { openCheckpoint, openTokenizers } = require('@atelier/checkpoint');
const { Engine } = require('@atelier/engine');
const { forward } = require('../../test/parity/dist/models.js');
const { useTestingAddon } = require('../../test/parity/dist/testing-addon.js');

const [model, folder] = process.argv.slice(2);
const expected = JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8'));
const tensor = ({ shape, data }) => ({ shape, data: Float32Array.from(data) });
let wrong = 0;

function say(what, good, detail) {
  if (!good) wrong += 1;
  console.log(`${good ? 'ok   ' : 'WRONG'} ${what.padEnd(12)} ${detail}`);
}

function near(what, { data }) {
  const want = expected[what].data;
  const largest = Math.max(...want.map(Math.abs));
  const worst = want.reduce((most, value, i) => Math.max(most, Math.abs(value - data[i])), 0);
  say(
    what,
    data.length === want.length && worst <= 1e-3 * largest,
    `largest ${largest.toFixed(3)}, worst difference ${worst.toExponential(1)}`,
  );
}

const checkpoint = await openCheckpoint(model);
const tokenizers = await openTokenizers(model);
for (const [name, encode] of [
  ['t5', (text) => tokenizers.t5(text, expected.t5Length)],
  ['clip', tokenizers.clip],
]) {
  const different = expected.captions.filter(
    (caption, i) => String([...encode(caption)]) !== String(expected[name][i]),
  );
  say(
    `${name} ids`,
    different.length === 0,
    `${expected.captions.length} captions${different.length ? `, different: ${JSON.stringify(different)}` : ''}`,
  );
}
useTestingAddon();
const engine = await Engine.open({ device: 'cpu' });
const vae = await engine.loadVae(checkpoint.component('vae'));
const { mean } = await vae.encode(tensor(expected.image));
near('mean', mean);
near('decoded', await vae.decode(tensor(expected.mean)));
const promptEmbeds = await (
  await engine.loadT5(checkpoint.component('text_encoder_2'))
).encode(Int32Array.from(expected.t5[0]));
near('embeds', promptEmbeds);
const { pooled } = await (
  await engine.loadClip(checkpoint.component('text_encoder'))
).encode(Int32Array.from(expected.clip[0]));
near('pooled', pooled);
const flux = await engine.loadTransformer(checkpoint.component('transformer'), { quant: 'none' });
const side = Math.sqrt(expected.latents.shape[0]);
const { out } = await forward(flux, {
  latents: tensor(expected.latents).data,
  gridH: side,
  gridW: side,
  sigma: 0.5,
  guidance: 3.5,
  promptEmbeds: promptEmbeds.data,
  pooled: pooled.data,
});
near('velocity', out);
await engine.close();
process.exitCode = wrong ? 1 : 0;
