import { killInTheAct, startServiceProcess, waitFor } from '@atelier/testing';
import { Harness } from './harness';

let harness: Harness;
beforeEach(async () => {
  harness = await Harness.start();
});
afterEach(() => harness.stop());

it('killed in the middle of a picture, the service loses none: the next one takes it up, and every picture is encoded', async () => {
  const all = await Promise.all([0, 1, 2, 3, 4, 5].map((seed) => harness.picture(seed, 256)));
  const first = await startServiceProcess('latents', harness.env({ ATELIER_LOG_LEVEL: 'info' }));
  await harness.ask(...all);
  await waitFor('the first latents', () => harness.tensors.has('latents', all[0]!.key));
  await killInTheAct(first, () => harness.inHand());
  const there = await Promise.all(all.map(({ key }) => harness.tensors.has('latents', key)));
  expect(there).toContain(false);

  const second = await startServiceProcess('latents', harness.env({ ATELIER_LOG_LEVEL: 'info' }));
  await harness.settled(60_000);
  for (const { key } of all) expect((await harness.latents(key))!.mean!.shape).toEqual([16, 32, 32]);
  expect(await harness.deadLetters()).toEqual([]);
  const ready = (await harness.events()).map(({ encodeReady }) => encodeReady!.key);
  expect(new Set(ready)).toEqual(new Set(all.map(({ key }) => key)));
  expect(await second.stop()).toBe(0);
});

it('with ATELIER_ONCE takes one picture, ends with 0 and leaves the next on the queue; with none it waits, and ends with 0 at SIGTERM', async () => {
  const once = harness.env({ ATELIER_LOG_LEVEL: 'info', ATELIER_ONCE: '1' });
  const waiting = await startServiceProcess('latents', once);
  expect(await waiting.stop()).toBe(0);

  const all = await Promise.all([0, 1].map((seed) => harness.picture(seed, 64)));
  await harness.ask(...all);
  const service = await startServiceProcess('latents', once);
  expect(await service.exited).toBe(0);
  const there = await Promise.all(all.map(({ key }) => harness.tensors.has('latents', key)));
  expect(there).toEqual([true, false]);
});
