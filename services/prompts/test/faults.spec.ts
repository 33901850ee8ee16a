import { killInTheAct, startServiceProcess, waitFor } from '@atelier/testing';
import { Harness } from './harness';

let harness: Harness;
beforeEach(async () => {
  harness = await Harness.start();
});
afterEach(() => harness.stop());

it.each(['1', '8'])(
  'killed with captions in hand, %s at a time, the service loses none: the next one takes them up, and every caption is encoded',
  async (together) => {
    const settings = harness.env({ ATELIER_LOG_LEVEL: 'info', ATELIER_PROMPTS_TOGETHER: together });
    const all = await Promise.all(
      Array.from({ length: 60 }, (_, at) =>
        harness.caption(`heron number ${at}, ${'standing in the reeds '.repeat(40)}`),
      ),
    );
    const first = await startServiceProcess('prompts', settings);
    await harness.ask(...all);
    await waitFor('the first embeds', () => harness.tensors.has('prompts', all[0]!.key));
    await killInTheAct(first, () => harness.inHand());
    const there = await Promise.all(all.map(({ key }) => harness.tensors.has('prompts', key)));
    expect(there).toContain(false);

    const second = await startServiceProcess('prompts', settings);
    await harness.settled(60_000);
    for (const { key } of all) expect((await harness.embeds(key))!.promptEmbeds.shape).toEqual([512, 64]);
    expect(await harness.deadLetters()).toEqual([]);
    const ready = (await harness.events()).map(({ encodeReady }) => encodeReady!.key);
    expect(new Set(ready)).toEqual(new Set(all.map(({ key }) => key)));
    expect(await second.stop()).toBe(0);
  },
  120_000,
);
