// What encoding costs is told by the engine before anything is encoded; that it takes just that is for the native tests to show.
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Engine } from '@atelier/engine';
import { component } from './tiny';

let engine: Engine;
beforeAll(async () => void (engine = await Engine.open({ device: 'cpu', threads: 1 })));
afterAll(() => engine.close());

const fileBytes = async (name: string, file: string): Promise<number> => (await stat(join(component(name), file))).size;

/** Each tensor is padded a little, and a file has a header. */
function expectAbout(bytes: number, expected: number): void {
  expect(Math.abs(bytes / expected - 1)).toBeLessThan(0.05);
}

test("the weights' bytes are those of the file", async () => {
  const [vae, clip, t5] = await Promise.all([
    engine.loadVae(component('vae')),
    engine.loadClip(component('text_encoder')),
    engine.loadT5(component('text_encoder_2')),
  ]);
  expectAbout(vae.weightBytes, await fileBytes('vae', 'diffusion_pytorch_model.safetensors'));
  expectAbout(clip.weightBytes, await fileBytes('text_encoder', 'model.safetensors'));
  expectAbout(t5.weightBytes, await fileBytes('text_encoder_2', 'model.safetensors'));
});

test("a picture's bytes grow with its pixels, whichever side is the longer", async () => {
  const vae = await engine.loadVae(component('vae'));
  const small = vae.encodeBytes(64, 96);
  expect(small).toBeGreaterThan(64 * 96 * 3 * 4); // more than the picture itself
  expect(vae.encodeBytes(96, 64)).toBe(small);
  expectAbout(vae.encodeBytes(128, 192), 4 * small);
});

test("a caption's bytes grow with its tokens, and nothing is encoded for the answer", async () => {
  const clip = await engine.loadClip(component('text_encoder'));
  const t5 = await engine.loadT5(component('text_encoder_2'));
  expectAbout(clip.encodeBytes(64), 2 * clip.encodeBytes(32));
  expect(t5.encodeBytes(512)).toBeGreaterThan(2 * t5.encodeBytes(256)); // the position bias grows with the square
});
