import sharp from 'sharp';
import { encodeTensors } from '@atelier/checkpoint';
import { decodePromptEmbeds, encodePicture, toPixels } from '@atelier/drawing';

describe('pixels', () => {
  it('are rounded and clamped as diffusers does, channels last', () => {
    const channel = [-1.5, -1, 0, 0.5, 1, 7];
    const data = Float32Array.from([...channel, ...channel.map((value) => -value), ...channel.map(() => 0.2)]);
    const { pixels, width, height } = toPixels({ shape: [3, 2, 3], data });
    expect([width, height]).toEqual([3, 2]);
    expect([...pixels]).toEqual([0, 255, 153, 0, 255, 153, 128, 128, 153, 191, 64, 153, 255, 0, 153, 255, 0, 153]);
  });

  it.each(['png', 'jpeg', 'webp'] as const)('are in a %s what they were', async (format) => {
    const image = { shape: [3, 32, 48], data: Float32Array.from({ length: 3 * 32 * 48 }, (_, i) => Math.sin(i / 900)) };
    const file = await encodePicture(image, format);
    expect(await sharp(file).metadata()).toMatchObject({ format, width: 48, height: 32 });
    const found = await sharp(file).raw().toBuffer();
    const { pixels } = toPixels(image);
    const worst = found.reduce((most, value, i) => Math.max(most, Math.abs(value - pixels[i]!)), 0);
    expect(worst).toBeLessThanOrEqual(format === 'png' ? 0 : 16); // the other two lose a little
  });
});

describe('prompt embeds', () => {
  it('that are not what they should be are refused by key', () => {
    const one = { shape: [4], data: new Float32Array(4) };
    expect(() => decodePromptEmbeds(encodeTensors({ pooled: one }), 'k')).toThrow(/prompts k.*prompt_embeds/);
    expect(() => decodePromptEmbeds(encodeTensors({ pooled: one, prompt_embeds: one }), 'k')).toThrow(
      /prompts k.*prompt_embeds/,
    );
    expect(() => decodePromptEmbeds(Buffer.from('short'), 'k')).toThrow(/prompts k/);
  });
});
