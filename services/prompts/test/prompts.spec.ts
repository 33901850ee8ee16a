import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeTensors, encodeTensors, parseTensorFile, type Tensor } from '@atelier/checkpoint';
import { streams, subjects, type IPromptsWork } from '@atelier/contracts';
import { Engine } from '@atelier/engine';
import { acquireLease, leasesOf, waitersOf } from '@atelier/lease';
import { Registry, workPolicies } from '@atelier/mesh';
import { leasePriorities } from '@atelier/models';
import { dieOver, tinyCheckpoint, waitFor } from '@atelier/testing';
import { Harness } from './harness';

let harness: Harness;
beforeEach(async () => {
  harness = await Harness.start();
});
afterEach(() => harness.stop());

const MIB = 2 ** 20;
const golden = (name: string) => readFileSync(join(tinyCheckpoint(), '..', name));

/** Row `row` of (rows, …). */
function rowOf({ shape, data }: Tensor, row: number): Float32Array {
  const size = data.length / shape[0]!;
  return data.subarray(row * size, (row + 1) * size);
}

/** Float32 sums in another order than the reference's: a share of the largest value, 1e-4. */
function expectNear(found: Float32Array, wanted: Float32Array): void {
  expect(found.length).toBe(wanted.length);
  const scale = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const worst = found.reduce((most, value, at) => Math.max(most, Math.abs(value - wanted[at]!)), 0);
  if (!(worst <= 1e-4 * scale))
    throw new Error(
      `worst error ${worst} of ${scale}, ${1e-4 * scale} is allowed; first values ${found.slice(0, 4).join()} and ${wanted.slice(0, 4).join()}`,
    );
}

describe('a caption', () => {
  it.each(['1', '8'])(
    'becomes the T5 sequence and CLIP pooled vector that transformers computes, the tricky ones too, %s at a time',
    async (together) => {
      const prompts = (JSON.parse(golden('tokens.json').toString()) as { prompt: string }[]).map(
        ({ prompt }) => prompt,
      );
      const all = await Promise.all(prompts.map((prompt) => harness.caption(prompt, { maxLength: 48 })));
      await harness.ask(...all);
      await harness.startService({ ATELIER_PROMPTS_TOGETHER: together });
      await harness.settled();

      const { clip_pooled: clip, t5_embeds: t5 } = decodeTensors(golden('text.safetensors'));
      expect(all).toHaveLength(13);
      for (const [row, { key }] of all.entries()) {
        const { promptEmbeds, pooled } = (await harness.embeds(key))!;
        expect(promptEmbeds.shape).toEqual([48, 64]);
        expect(pooled.shape).toEqual([32]);
        expectNear(promptEmbeds.data, rowOf(t5!, row));
        expectNear(pooled.data, rowOf(clip!, row));
      }
      const ready = (await harness.events()).map(({ encodeReady }) => encodeReady!);
      expect(ready[0]).toMatchObject({ key: all[0]!.key, kind: 'prompts', name: 'cat.png' });
      expect(ready.map(({ key }) => key).sort()).toEqual(all.map(({ key }) => key).sort());
      for (const { seconds } of ready) expect(seconds).toBeGreaterThan(0);
      expect(await harness.statusDetail()).toBe('13 encoded, 0 there already, 0 failed');
    },
  );

  it('is kept as one safetensors message: prompt_embeds and pooled, float32', async () => {
    const work = await harness.caption('a heron');
    await harness.startService();
    await harness.ask(work);
    await harness.settled();
    const { tensors } = parseTensorFile((await harness.tensors.get('prompts', work.key))!);
    expect([...tensors].map(([name, { dtype, shape }]) => [name, dtype, shape])).toEqual([
      ['pooled', 'F32', [32]],
      ['prompt_embeds', 'F32', [512, 64]],
    ]);
  });

  it.each(['1', '8'])(
    'is encoded once, ever, however it is written: composed and decomposed are one text, %s at a time',
    async (together) => {
      const composed = await harness.caption('caf\u00e9');
      const decomposed = await harness.caption('cafe\u0301');
      expect(decomposed.key).toBe(composed.key);
      await harness.ask(decomposed, composed, composed);
      await harness.startService({ ATELIER_PROMPTS_TOGETHER: together });
      await harness.settled();
      expect((await harness.events()).map(({ encodeReady }) => encodeReady!.seconds! > 0)).toEqual([
        true,
        false,
        false,
      ]);
      expect((await harness.test.mesh.jsm.streams.info(streams.TENSORS)).state.last_seq).toBe(1);
      expect(await harness.statusDetail()).toBe('1 encoded, 2 there already, 0 failed');
      expect(await harness.service!.app.get(Registry).metrics()).toMatch(
        /atelier_prompts_total\{result="cached",service="prompts"\} 2/,
      );
    },
  );

  it('may be empty, as a prompt may, and of the longest length there is', async () => {
    const work = await harness.caption('');
    await harness.startService();
    await harness.ask(work);
    await harness.settled();
    expect((await harness.embeds(work.key))!.promptEmbeds.shape).toEqual([512, 64]);
  });

  it('of full size, 512 × 4096, fits into one message of a real server', async () => {
    const largest = encodeTensors({
      prompt_embeds: { shape: [512, 4096], data: new Float32Array(512 * 4096) },
      pooled: { shape: [768], data: new Float32Array(768) },
    });
    await harness.tensors.put('prompts', 'largest', largest);
    expect((await harness.tensors.get('prompts', 'largest'))!.byteLength).toBe(largest.byteLength);
  });
});

describe('a caption that cannot be encoded', () => {
  it.each<[string, IPromptsWork & { caption?: string }, string]>([
    ['keyed for another text encoder', { key: 'cd'.repeat(32) }, 'give all services the same ATELIER_MODEL'],
    ['keyed for another caption', { caption: 'a dog' }, 'its key was made for another caption, length or text encoder'],
    ['of no length', { maxLength: 0 }, 'a length of 0 T5 tokens is not possible: use 1 to 512'],
    [
      'of a length that FLUX.1 does not know',
      { maxLength: 513 },
      'a length of 513 T5 tokens is not possible: use 1 to 512',
    ],
    [
      'longer than allowed',
      { caption: 'é'.repeat(32 * 1024 + 1) },
      'the caption has 65538 bytes and 65536 are allowed: shorten it',
    ],
  ])(
    '%s is a dead letter at once, by file name and reason, and the next one is served',
    async (_what, change, reason) => {
      const bad = Object.assign(await harness.caption('a cat'), change);
      const good = await harness.caption('a heron');
      await harness.startService();
      await harness.ask(bad, good);
      await harness.settled();
      expect(await harness.deadLetters()).toEqual([{ work: bad, reason: expect.stringContaining(reason) }]);
      const [failed, letter, ready] = await harness.events();
      expect(failed?.encodeFailed).toMatchObject({
        key: bad.key,
        kind: 'prompts',
        name: 'cat.png',
        datasetId: 'd1',
        reason: expect.stringContaining(reason),
      });
      expect(letter?.deadLetter).toMatchObject({ name: 'cat.png', deliveries: 1 });
      expect(ready?.encodeReady).toMatchObject({ key: good.key });
    },
  );

  it('with a key that is no hash is a dead letter, and no event has such a subject', async () => {
    await harness.startService();
    await harness.ask(await harness.caption('x', { key: 'a.b > *' }));
    await harness.settled();
    expect(await harness.deadLetters()).toEqual([
      expect.objectContaining({ reason: expect.stringContaining('is not the SHA-256 that ingest makes') }),
    ]);
    expect((await harness.events()).map(({ detail }) => detail)).toEqual(['deadLetter']);
  });

  it('and killed the service at every try fails in an event, so that nobody waits for it', async () => {
    const deadly = await harness.caption('deadly');
    await harness.ask(deadly);
    await dieOver(harness.test.mesh, subjects.work.prompts);
    await harness.startService();
    await harness.settled();
    expect((await harness.events())[0]!.encodeFailed).toMatchObject({
      key: deadly.key,
      name: 'cat.png',
      reason: 'the service died while handling it, 4 times in a row without getting further',
    });
  });
});

/** What the engine says that both encoders and a caption of so many T5 tokens take. */
async function encodingBytes(t5Tokens: number): Promise<number> {
  const engine = await Engine.open({ device: 'cpu', threads: 1 });
  const clip = await engine.loadClip(`${tinyCheckpoint()}/text_encoder`);
  const t5 = await engine.loadT5(`${tinyCheckpoint()}/text_encoder_2`);
  const encoding = Math.max(clip.encodeBytes(77), t5.encodeBytes(t5Tokens));
  const bytes = clip.weightBytes + t5.weightBytes + encoding;
  await engine.close();
  return bytes;
}

describe('memory that is counted', () => {
  const settings = { ATELIER_DEVICE: 'gpu', ATELIER_DEVICE_MIB: '1000', ATELIER_IDLE_SECONDS: '1' };
  const held = () => leasesOf(harness.test.mesh, 'gpu');

  it('is waited for, leased for the batch, and free again when the encoders have been let go', async () => {
    const training = await acquireLease(harness.test.mesh, {
      device: 'gpu',
      capacity: 1000 * MIB,
      bytes: 1000 * MIB,
      owner: 'trainer',
      priority: leasePriorities.training,
    });
    await harness.startService(settings);
    const all = [await harness.caption('one'), await harness.caption('two')];
    await harness.ask(...all);
    await waitFor('work in hand', async () => (await harness.inHand()) === 1);
    await waitFor('its place in the queue', async () =>
      (await waitersOf(harness.test.mesh, 'gpu')).some(({ owner }) => owner === 'prompts'),
    );
    expect(await harness.embeds(all[0]!.key)).toBeUndefined();
    await training.release();
    await harness.settled();
    expect(await held()).toEqual([{ owner: 'prompts', token: 2, bytes: await encodingBytes(all[0]!.maxLength) }]);
    expect(await harness.statusDetail()).toBe('2 encoded, 0 there already, 0 failed');
    await waitFor('idle encoders', async () => (await held()).length === 0);
  });

  it('is not waited for by a service that is asked to stop: the work goes back, however often', async () => {
    const training = await acquireLease(harness.test.mesh, {
      device: 'gpu',
      capacity: 1000 * MIB,
      bytes: 1000 * MIB,
      owner: 'trainer',
      priority: leasePriorities.training,
    });
    await harness.ask(await harness.caption('one'), await harness.caption('two'));
    for (let stops = 0; stops < workPolicies[subjects.work.prompts].maxAttempts + 2; stops++) {
      await harness.startService({ ...settings, ATELIER_PROMPTS_TOGETHER: '2' });
      await waitFor('work in hand', async () => (await harness.inHand()) === 2);
      await harness.service!.stop();
      harness.service = undefined;
    }
    await training.release();
    await harness.startService(settings);
    await harness.settled();
    expect(await harness.statusDetail()).toBe('2 encoded, 0 there already, 0 failed');
  });

  it('is given at once to a run that waits for it, though the encoders would have been kept much longer', async () => {
    await harness.startService({ ...settings, ATELIER_IDLE_SECONDS: '3600' });
    await harness.ask(await harness.caption('one'));
    await harness.settled();
    expect(await held()).toHaveLength(1);
    const training = await acquireLease(harness.test.mesh, {
      device: 'gpu',
      capacity: 1000 * MIB,
      bytes: 1000 * MIB,
      owner: 'trainer',
      priority: leasePriorities.training,
    });
    await training.release();
  });
});

it('all bad settings are reported at once, by name', async () => {
  const starting = harness.startService({ ATELIER_MODEL: '', ATELIER_THREADS: '-1', ATELIER_IDLE_SECONDS: 'soon' });
  await expect(starting).rejects.toThrow(
    /ATELIER_MODEL is not set[^]*ATELIER_THREADS is "-1"[^]*ATELIER_IDLE_SECONDS is "soon"/,
  );
});
