import sharp from 'sharp';
import { buckets, calls, streams, subjects, type LatentsWork } from '@atelier/contracts';
import { Engine } from '@atelier/engine';
import { acquireLease, leasesOf, waitersOf } from '@atelier/lease';
import { callService, Registry, workPolicies } from '@atelier/mesh';
import { leasePriorities } from '@atelier/models';
import { dieOver, tinyCheckpoint, waitFor } from '@atelier/testing';
import { decodePrepared, toTensor } from '../src/prepared-picture';
import { Harness } from './harness';

let harness: Harness;
beforeEach(async () => {
  harness = await Harness.start();
});
afterEach(() => harness.stop());

const MIB = 2 ** 20;

describe('a prepared picture', () => {
  it('becomes the posterior that the VAE gives for its pixels, under its key, and an event says so', async () => {
    const work = await harness.picture(1);
    await harness.startService();
    await harness.ask(work);
    await harness.settled();

    const { mean, logvar } = (await harness.latents(work.key))!;
    const engine = await Engine.open({ device: 'cpu' });
    const vae = await engine.loadVae(`${tinyCheckpoint()}/vae`);
    const picture = await decodePrepared(await harness.blobs.get(buckets.blobs.pictures, work.picture), work);
    const wanted = await vae.encode(toTensor(picture));
    await engine.close();
    expect(mean!.shape).toEqual([16, 8, 8]);
    expect(mean!.data).toEqual(wanted.mean.data);
    expect(logvar!.shape).toEqual([16, 8, 8]);
    expect(logvar!.data).toEqual(wanted.logvar.data);

    const { encodeReady } = (await harness.events())[0]!;
    expect(encodeReady).toMatchObject({ key: work.key, kind: 'latents', name: 'picture-1.png' });
    expect(encodeReady!.seconds).toBeGreaterThan(0);
  });

  it('is encoded once, ever: asked for again it is counted as there already, and the event says that it took no time', async () => {
    const work = await harness.picture(2);
    await harness.startService();
    await harness.ask(work, work);
    await harness.settled();
    const { state: before } = await harness.test.mesh.jsm.streams.info(streams.TENSORS);
    await harness.blobs.delete(buckets.blobs.pictures, work.picture); // nothing may want it any more
    await harness.ask(work);
    await harness.settled();

    expect((await harness.test.mesh.jsm.streams.info(streams.TENSORS)).state.last_seq).toBe(before.last_seq);
    expect((await harness.events()).map(({ encodeReady }) => encodeReady!.seconds! > 0)).toEqual([true, false, false]);
    expect(await harness.statusDetail()).toBe('1 encoded, 2 there already, 0 failed');
    const metrics = await harness.service!.app.get(Registry).metrics();
    expect(metrics).toMatch(/atelier_latents_total\{result="encoded",service="latents"\} 1/);
    expect(metrics).toMatch(/atelier_latents_total\{result="cached",service="latents"\} 2/);
    expect(await harness.deadLetters()).toEqual([]);
  });
});

describe('a picture that cannot be encoded', () => {
  it.each<[string, (work: LatentsWork) => Partial<LatentsWork> | Promise<void>, string]>([
    [
      'whose prepared file is cut short',
      async ({ picture }) => spoil(picture, (png) => png.subarray(0, png.length / 2)),
      'its prepared picture cannot be decoded',
    ],
    [
      'whose prepared file is no picture',
      async ({ picture }) => spoil(picture, () => Buffer.from('poison')),
      'its prepared picture cannot be decoded',
    ],
    [
      'whose prepared file has another size',
      () => ({ width: 72 }),
      'its prepared picture has 64 × 64 pixels of 3 channels where 72 × 64 of 3 were announced',
    ],
    ['whose prepared file is larger than announced', () => ({ width: 56, height: 56 }), 'its prepared picture'],
    [
      'whose prepared file has other pixels',
      async ({ picture }) => spoil(picture, (png) => sharp(png).negate().png().toBuffer()),
      'its key was made for other pixels or another VAE than this service has',
    ],
    [
      'whose prepared file is gone',
      async ({ picture }) => harness.blobs.delete(buckets.blobs.pictures, picture),
      'its prepared picture has been cleared away',
    ],
    [
      'that was keyed for another VAE',
      () => ({ key: 'ab'.repeat(32) }),
      'give ingest and latents the same ATELIER_MODEL',
    ],
    [
      'of a size that the VAE cannot halve three times',
      () => ({ width: 60 }),
      'a picture of 60 × 64 cannot be encoded: sides are multiples of 8',
    ],
    [
      'whose latents fit into no message',
      () => ({ width: 4096, height: 4096 }),
      'take 33554432 bytes and a message holds',
    ],
  ])(
    '%s is a dead letter at once, by file name and reason, and the next one is served',
    async (_what, breakIt, reason) => {
      const bad = await harness.picture(3);
      Object.assign(bad, await breakIt(bad));
      const good = await harness.picture(4);
      await harness.startService();
      await harness.ask(bad, good);
      await harness.settled();

      expect(await harness.deadLetters()).toEqual([{ work: bad, reason: expect.stringContaining(reason) }]);
      const [failed, letter, ready] = await harness.events();
      expect(failed?.encodeFailed).toMatchObject({
        key: bad.key,
        kind: 'latents',
        name: 'picture-3.png',
        datasetId: 'd1',
        reason: expect.stringContaining(reason),
      });
      expect(letter?.deadLetter).toMatchObject({ name: 'picture-3.png', deliveries: 1 });
      expect(ready?.encodeReady).toMatchObject({ key: good.key });
      expect(await harness.latents(bad.key)).toBeUndefined();
    },
  );

  const spoil = async (picture: string, change: (png: Buffer) => Buffer | Promise<Buffer>): Promise<void> => {
    const png = Buffer.from(await harness.blobs.get(buckets.blobs.pictures, picture));
    await harness.blobs.put(buckets.blobs.pictures, picture, await change(png));
  };

  it('with a key that is no hash is a dead letter, and no event has such a subject', async () => {
    await harness.startService();
    await harness.ask(await harness.picture(5, 64, { key: 'a.b > *' }));
    await harness.settled();
    expect(await harness.deadLetters()).toEqual([
      expect.objectContaining({ reason: expect.stringContaining('is not the SHA-256 that ingest makes') }),
    ]);
    expect((await harness.events()).map(({ detail }) => detail)).toEqual(['deadLetter']);
  });

  it('and killed the service at every try fails in an event, so that nobody waits for it', async () => {
    const deadly = await harness.picture(6);
    await harness.ask(deadly);
    await dieOver(harness.test.mesh, subjects.work.latents);
    await harness.startService();
    await harness.settled();
    const { encodeFailed } = (await harness.events())[0]!;
    expect(encodeFailed).toMatchObject({
      key: deadly.key,
      name: 'picture-6.png',
      reason: 'the service died while handling it, 4 times in a row without getting further',
    });
  });

  it('for want of a model stays on the queue, and the service says which folder it waits for', async () => {
    await harness.startService({ ATELIER_MODEL: '/nonexistent/model' });
    await harness.ask(await harness.picture(7));
    const { ready, detail } = await callService(harness.test.mesh, calls.status('latents'), {}, {});
    expect([ready, detail]).toEqual([false, expect.stringContaining('/nonexistent/model')]);
    expect((await harness.test.mesh.jsm.streams.info(streams.WORK)).state.messages).toBe(1);
    expect(await harness.deadLetters()).toEqual([]);
  });
});

/** What the engine says that the VAE and a picture of 64 × 64 take. */
async function encodingBytes(): Promise<number> {
  const engine = await Engine.open({ device: 'cpu', threads: 1 });
  const vae = await engine.loadVae(`${tinyCheckpoint()}/vae`);
  const bytes = vae.weightBytes + vae.encodeBytes(64, 64);
  await engine.close();
  return bytes;
}

describe('memory that is counted', () => {
  const held = () => leasesOf(harness.test.mesh, 'gpu');
  const settings = { ATELIER_DEVICE: 'gpu', ATELIER_DEVICE_MIB: '100', ATELIER_IDLE_SECONDS: '1' };

  it('is leased for the batch, and free again when the VAE has been let go', async () => {
    await harness.startService(settings);
    await harness.ask(await harness.picture(1), await harness.picture(2));
    await harness.settled();
    const [lease, ...others] = await held();
    expect(lease).toEqual({ owner: 'latents', token: 1, bytes: await encodingBytes() });
    expect(others).toEqual([]);
    await waitFor('an idle VAE', async () => (await held()).length === 0);
    await harness.ask(await harness.picture(3));
    await harness.settled();
    expect(await held()).toEqual([expect.objectContaining({ owner: 'latents', token: 2 })]);
  });

  it('is waited for while another has it, without using up tries', async () => {
    const training = await acquireLease(harness.test.mesh, {
      device: 'gpu',
      capacity: 100 * MIB,
      bytes: 100 * MIB,
      owner: 'trainer',
      priority: leasePriorities.training,
    });
    await harness.startService(settings);
    const work = await harness.picture(1);
    await harness.ask(work);
    await waitFor('work in hand', async () => (await harness.inHand()) === 1);
    await waitFor('its place in the queue', async () =>
      (await waitersOf(harness.test.mesh, 'gpu')).some(({ owner }) => owner === 'latents'),
    );
    expect(await harness.latents(work.key)).toBeUndefined();
    await training.release();
    await harness.settled();
    expect(await harness.latents(work.key)).toBeDefined();
    expect(await harness.statusDetail()).toBe('1 encoded, 0 there already, 0 failed');
  });

  it('is given at once to a run that waits for it, though the VAE would have been kept much longer', async () => {
    await harness.startService({ ...settings, ATELIER_IDLE_SECONDS: '3600' });
    await harness.ask(await harness.picture(1));
    await harness.settled();
    expect(await held()).toHaveLength(1);
    const training = await acquireLease(harness.test.mesh, {
      device: 'gpu',
      capacity: 100 * MIB,
      bytes: 100 * MIB,
      owner: 'trainer',
      priority: leasePriorities.training,
    });
    await harness.ask(await harness.picture(2));
    await waitFor('work in hand', async () => (await harness.inHand()) === 1);
    await training.release();
    await harness.settled();
    expect(await harness.statusDetail()).toBe('2 encoded, 0 there already, 0 failed');
  });

  it('that could never be given is refused with the numbers', async () => {
    await harness.startService({ ...settings, ATELIER_DEVICE_MIB: '0.5' });
    const work = await harness.picture(1);
    await harness.ask(work);
    await harness.settled();
    expect((await harness.deadLetters())[0]!.reason).toMatch(
      /^latents needs \d+ bytes of gpu, which has 524288 in all/,
    );
  });

  it('is not waited for by a service that is asked to stop: the work goes back, however often', async () => {
    const training = await acquireLease(harness.test.mesh, {
      device: 'gpu',
      capacity: 100 * MIB,
      bytes: 100 * MIB,
      owner: 'trainer',
      priority: leasePriorities.training,
    });
    await harness.ask(await harness.picture(1));
    for (let stops = 0; stops < workPolicies[subjects.work.latents].maxAttempts + 2; stops++) {
      await harness.startService(settings);
      await waitFor('work in hand', async () => (await harness.inHand()) === 1);
      await harness.service!.stop();
      harness.service = undefined;
    }
    await training.release();
    await harness.startService(settings);
    await harness.settled();
    expect(await harness.statusDetail()).toBe('1 encoded, 0 there already, 0 failed');
  });
});

it('all bad settings are reported at once, by name', async () => {
  const starting = harness.startService({ ATELIER_MODEL: '', ATELIER_DEVICE_MIB: '0', ATELIER_IDLE_SECONDS: 'soon' });
  await expect(starting).rejects.toThrow(
    /ATELIER_MODEL is not set[^]*ATELIER_DEVICE_MIB is "0"[^]*ATELIER_IDLE_SECONDS is "soon"/,
  );
});
