// What an engine computes on, by name: the machine may have a card or not.
import { DEVICE_FORMS, DEVICE_PATTERN, Engine, EngineError } from '@atelier/engine';

async function description(device?: string): Promise<string> {
  const engine = await Engine.open({ device, threads: 1 });
  const text = engine.description;
  await engine.close();
  return text;
}

test('the CPU, by name', async () => {
  expect(await description('cpu')).toMatch(/^cpu \w+, 1 thread$/);
});

test('auto, which is the default, takes a card where there is one', async () => {
  const cards = Engine.cards();
  for (const device of ['auto', undefined]) {
    expect(await description(device)).toMatch(cards.length === 0 ? /^cpu \w+, 1 thread$/ : /^cuda: |not on a card: /);
  }
});

test('a card that does not exist is refused with a remedy', async () => {
  const opening = Engine.open({ device: 'cuda:1000' });
  await expect(opening).rejects.toThrow(EngineError);
  await expect(opening).rejects.toMatchObject({
    code: 'UNIMPLEMENTED',
    message: expect.stringMatching(/install|Install|is one card|are devices|CUDA_VISIBLE_DEVICES/),
  });
});

test('any other name is refused, here and where services read their settings', async () => {
  for (const device of ['', 'gpu', 'cuda:', 'cuda:x', 'cuda:-1', 'CPU', 'cpu,fp8', 'auto,fp8', 'cuda,fp16']) {
    await expect(Engine.open({ device })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining(DEVICE_FORMS),
    });
    expect(device).not.toMatch(DEVICE_PATTERN);
  }
  for (const device of ['auto', 'cpu', 'cuda', 'cuda:0', 'cuda:12', 'cuda,fp8', 'cuda:12,fp8'])
    expect(device).toMatch(DEVICE_PATTERN);
});
