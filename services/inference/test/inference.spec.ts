import sharp from 'sharp';
import { eventSubjects, GenerationState, PromptsWork, subjects, type Generation } from '@atelier/contracts';
import { acquireLease, leasesOf } from '@atelier/lease';
import { done, publishEvent, runWorker, subscribeEvents } from '@atelier/mesh';
import { leasePriorities } from '@atelier/models';
import { BlobStore, StateWatch } from '@atelier/store';
import { dieOver, waitFor } from '@atelier/testing';
import { changedAdapter, goldenAdapter, Harness, promptsBytes } from './harness';

let harness: Harness;
afterEach(() => harness.stop());

const pixels = (picture: Buffer): Promise<Buffer> => sharp(picture).raw().toBuffer();

/** Mean difference of two pictures, in steps of 255. */
async function difference(a: Buffer, b: Buffer): Promise<number> {
  const [first, second] = await Promise.all([pixels(a), pixels(b)]);
  expect(first.length).toBe(second.length);
  return first.reduce((sum, value, i) => sum + Math.abs(value - second[i]!), 0) / first.length;
}

describe('a drawing', () => {
  beforeEach(async () => {
    harness = await Harness.start();
  });

  it('becomes as many pictures as were asked for, and its way is told', async () => {
    const pictures = await harness.draw('g1', { count: 2, steps: 3 });
    expect(pictures).toHaveLength(2);
    for (const picture of pictures)
      expect(await sharp(picture).metadata()).toMatchObject({ format: 'png', width: 64, height: 48, channels: 3 });
    expect(await difference(pictures[0]!, pictures[1]!)).toBeGreaterThan(1);
    const events = await harness.events('g1');
    const states = events.flatMap(({ generateState }) => (generateState ? [generateState] : []));
    expect(states.map(({ state }) => state)).toEqual([
      GenerationState.GENERATION_STATE_RUNNING,
      GenerationState.GENERATION_STATE_FINISHED,
    ]);
    expect(states[1]!.images).toEqual(['g1/0.png', 'g1/1.png']);
    const steps = events.flatMap(({ generateProgress }) => (generateProgress ? [generateProgress.step] : []));
    expect(steps.at(-1)).toBe(6);
    expect(steps).toEqual([...new Set(steps)].sort((a, b) => a! - b!));
    expect((await harness.drawing('g1')).images).toEqual(['g1/0.png', 'g1/1.png']);
  });

  it('asked for again is the same, and reloads nothing', async () => {
    await harness.bringIn('style', goldenAdapter());
    const use = { adapters: [{ name: 'style', weight: 0.7 }] };
    const [first] = await harness.draw('g1', use);
    const [again] = await harness.draw('g2', use);
    expect(again!.equals(first!)).toBe(true);
    expect(await harness.metric('atelier_generate_samplers_total', 'made')).toBe(1);
    expect(await harness.metric('atelier_generate_samplers_total', 'reused')).toBe(1);
    const [other] = await harness.draw('g3', { ...use, seed: 2 });
    expect(await difference(other!, first!)).toBeGreaterThan(1);
  });

  it.each([
    ['png', 64, 112],
    ['jpeg', 48, 48],
    ['webp', 96, 32],
  ])('comes as %s of %i × %i', async (format, width, height) => {
    const [picture] = await harness.draw('g1', { format, width, height });
    expect(await sharp(picture).metadata()).toMatchObject({ format, width, height });
    expect((await harness.drawing('g1')).images).toEqual([`g1/0.${format}`]);
  });

  it('is changed by an adapter as far as its weight says, beside the base or merged into it', async () => {
    await harness.bringIn('style', goldenAdapter());
    const with_ = (weight: number, fused = false) => ({ adapters: [{ name: 'style', weight }], fused });
    const [base] = await harness.draw('base');
    const [none] = await harness.draw('none', with_(0));
    const [half] = await harness.draw('half', with_(0.5));
    const [whole] = await harness.draw('whole', with_(1));
    const [fused] = await harness.draw('fused', with_(1, true));
    expect(await difference(none!, base!)).toBe(0);
    const halfAway = await difference(half!, base!);
    const wholeAway = await difference(whole!, base!);
    expect(halfAway).toBeGreaterThan(0);
    expect(wholeAway).toBeGreaterThan(halfAway);
    expect(await difference(fused!, whole!)).toBeLessThan(wholeAway / 10);
  });

  it('takes several adapters; one at half weight twice is one at whole weight', async () => {
    await harness.bringIn('one', goldenAdapter());
    await harness.bringIn('two', goldenAdapter());
    const [both] = await harness.draw('both', {
      adapters: [
        { name: 'one', weight: 0.5 },
        { name: 'two', weight: 0.5 },
      ],
    });
    const [whole] = await harness.draw('whole', { adapters: [{ name: 'one', weight: 1 }] });
    const [base] = await harness.draw('base');
    expect(await difference(both!, whole!)).toBeLessThan((await difference(whole!, base!)) / 10);
  });

  it('uses what a name stands for now, not what it stood for before', async () => {
    await harness.bringIn('style', goldenAdapter());
    const use = { adapters: [{ name: 'style', weight: 1 }] };
    const [before] = await harness.draw('before', use);
    await harness.bringIn(
      'style',
      changedAdapter((data, shape) => ({ shape, data: data.map((value) => -5 * value) })),
    );
    const [after] = await harness.draw('after', use);
    expect(await difference(before!, after!)).toBeGreaterThan(0);
  });

  it('has its prompt encoded by the prompts service, once', async () => {
    const asked: string[] = [];
    const stop = new AbortController();
    const encoder = runWorker(
      harness.test.mesh,
      { subject: subjects.work.prompts, type: PromptsWork, signal: stop.signal },
      async ({ key, caption }) => {
        asked.push(caption);
        await harness.tensors.put('prompts', key, promptsBytes(caption));
        await publishEvent(harness.test.mesh, eventSubjects.encoder('prompts', key, 'ready'), {
          encodeReady: { key, kind: 'prompts' },
        });
        return done;
      },
    );
    await harness.draw('g1', { prompt: 'a new boat' });
    await harness.draw('g2', { prompt: 'a new boat', seed: 9 });
    expect(asked).toEqual(['a new boat']);
    stop.abort();
    await encoder;
  });

  it("whose prompt cannot be encoded fails with the encoder's reason", async () => {
    await harness.ask('g1', { prompt: 'unspeakable' });
    const key = await harness.promptKey('unspeakable');
    await waitFor(
      'the request',
      async () => (await harness.drawing('g1')).state === GenerationState.GENERATION_STATE_RUNNING,
    );
    await new Promise((resolve) => setTimeout(resolve, 500));
    await publishEvent(harness.test.mesh, eventSubjects.encoder('prompts', key, 'failed'), {
      encodeFailed: { key, kind: 'prompts', reason: 'no words for it' },
    });
    const drawing = await harness.over('g1');
    expect(drawing).toMatchObject({
      state: GenerationState.GENERATION_STATE_FAILED,
      error: expect.stringMatching(/unspeakable.*no words for it/),
    });
  });

  it('cancelled ends within a step, whether it is being drawn or waits', async () => {
    await harness.ask('long', { steps: 1000, width: 512, height: 512 });
    await harness.ask('next');
    await harness.generations.update('next', (drawing) => Object.assign(drawing, { cancelRequested: true }));
    await waitFor('a step', async () => (await harness.events('long', 'progress')).length > 0);
    const asked = Date.now();
    await harness.generations.update('long', (drawing) => Object.assign(drawing, { cancelRequested: true }));
    expect((await harness.over('next')).state).toBe(GenerationState.GENERATION_STATE_CANCELLED);
    expect((await harness.drawing('long')).state).toBe(GenerationState.GENERATION_STATE_CANCELLED);
    expect(Date.now() - asked).toBeLessThan(5000);
    expect(await harness.deadLetters()).toBe(0);
  });

  it.each([
    [1, GenerationState.GENERATION_STATE_FINISHED],
    [2, GenerationState.GENERATION_STATE_RUNNING],
  ])(
    'of %i whose service stops in the midst of a picture has that one, where the grace allows',
    async (count, state) => {
      await harness.stopService();
      await harness.startService({ ATELIER_INFERENCE_GRACE_SECONDS: '30' });
      const heard = new AbortController();
      const steps = subscribeEvents(harness.test.mesh, 'events.generate.g1.progress', { signal: heard.signal });
      await harness.ask('g1', { count, steps: 60 });
      await steps.next();
      heard.abort();
      await harness.stopService();
      const blobs = new BlobStore(harness.test.mesh);
      expect((await blobs.list('samples')).map(({ name }) => name)).toEqual(['g1/0.png']);
      expect(await harness.drawing('g1')).toMatchObject({ state, preemptions: count - 1 });
    },
  );

  it('given back by a service that stops is drawn by the next, and no picture twice', async () => {
    await harness.ask('g1', { count: 2, steps: 1000, width: 64, height: 64 });
    await waitFor('the first picture', () => harness.blobs.has('samples', 'g1/0.png'));
    await harness.blobs.put('samples', 'g1/0.png', Buffer.from('drawn before'));
    await harness.stopService();
    expect(await harness.queued()).toBe(1);
    expect((await harness.drawing('g1')).state).toBe(GenerationState.GENERATION_STATE_RUNNING);
    await harness.startService();
    expect((await harness.over('g1')).images).toEqual(['g1/0.png', 'g1/1.png']);
    expect(Buffer.from(await harness.blobs.get('samples', 'g1/0.png')).toString()).toBe('drawn before');
  });
});

describe('a drawing of several pictures', () => {
  beforeEach(async () => {
    harness = await Harness.start();
  });
  const SEVERAL = { count: 10, steps: 250 };

  /**
   * Starts the service and stops it: as soon as it has taken the drawing, in the midst of a picture, or once one more
   * is stored. Of the latter two there are fewer than pictures, so that the last of them is not drawn by then.
   */
  async function interrupted(when: 'taken' | 'a step' | 'a picture'): Promise<void> {
    const heard = new AbortController();
    const progress = 'events.generate.stopped.progress';
    const step = subscribeEvents(harness.test.mesh, progress, { from: 'new', signal: heard.signal }).next();
    const { generations } = harness;
    const taken = new StateWatch(generations, 'stopped', ({ attempts }) => attempts === 1);
    const ended = new StateWatch(
      generations,
      'stopped',
      (drawing) => drawing.state > GenerationState.GENERATION_STATE_RUNNING,
    );
    const raised = ({ met }: StateWatch<Generation>): Promise<unknown> =>
      new Promise((resolve) => met.addEventListener('abort', resolve, { once: true }));
    const stored = (await harness.blobs.list('samples')).length;
    await harness.startService();
    if (when === 'taken') await Promise.race([raised(taken), raised(ended)]);
    else if (when === 'a step') await Promise.race([step, raised(ended)]);
    else await waitFor('one more picture', async () => (await harness.blobs.list('samples')).length > stored);
    await harness.stopService();
    heard.abort();
    await Promise.all([taken.close(), ended.close()]);
  }

  it('whose service is stopped thirty times comes to the same pictures, byte for byte', async () => {
    const undisturbed = await harness.draw('undisturbed', SEVERAL);
    await harness.stopService();
    await harness.ask('stopped', SEVERAL);
    for (let stops = 1; stops <= 30; stops++) {
      await interrupted(stops % 10 === 0 ? 'a picture' : stops % 5 === 0 ? 'a step' : 'taken');
      const running = { state: GenerationState.GENERATION_STATE_RUNNING, attempts: 0, preemptions: stops };
      expect(await harness.drawing('stopped')).toMatchObject(running);
    }
    await harness.startService();
    const { images, preemptions, state } = await harness.over('stopped');
    expect([preemptions, state]).toEqual([30, GenerationState.GENERATION_STATE_FINISHED]);
    const pictures = await Promise.all(
      images.map(async (image) => Buffer.from(await harness.blobs.get('samples', image))),
    );
    expect(pictures.map((picture, index) => picture.equals(undisturbed[index]!))).toEqual(undisturbed.map(() => true));
    expect(await harness.deadLetters()).toBe(0);
  }, 90_000);

  it('goes on though its services died over it more often than they may, each time after one more picture', async () => {
    await harness.stopService();
    await harness.ask('g1', SEVERAL);
    for (let pictures = 1; pictures <= 2; pictures++) {
      await dieOver(harness.test.mesh, subjects.work.generate, 3);
      await harness.startService();
      await waitFor('one more picture', async () => (await harness.blobs.list('samples')).length >= pictures);
      await harness.stopService();
    }
    await harness.startService();
    expect((await harness.over('g1')).images).toHaveLength(10);
  });
});

describe('what cannot be drawn fails once, with the reason', () => {
  beforeEach(async () => {
    harness = await Harness.start();
  });

  const fails = async (id: string): Promise<string> => {
    const { state, error } = await harness.over(id);
    expect(state).toBe(GenerationState.GENERATION_STATE_FAILED);
    expect((await harness.events(id, 'state')).at(-1)?.generateState).toMatchObject({ state, error });
    expect(await harness.deadLetters()).toBe(1);
    return error;
  };

  it.each([
    ['a size that is no multiple of 16', { width: 60 }, /width is 60.*16/],
    [
      'several bad fields, all of them told',
      { width: 0, height: 8, steps: 0, count: 11, format: 'gif' },
      /width is 0.*height is 8.*steps is 0.*count is 11.*gif/,
    ],
    ['an empty prompt', { prompt: '' }, /prompt is empty/],
    ['an adapter that is not there', { adapters: [{ name: 'nowhere', weight: 1 }] }, /no adapter "nowhere"/],
    ['an adapter name that is none', { adapters: [{ name: '../etc', weight: 1 }] }, /no adapter "\.\.\/etc"/],
    ['a weight that is not a number', { adapters: [{ name: 'style', weight: NaN }] }, /weight of "style" is NaN/],
    ['a guidance that is not finite', { guidance: Infinity }, /guidance is Infinity/],
  ])('%s', async (_what, request, reason) => {
    await harness.ask('g1', request);
    expect(await fails('g1')).toMatch(reason);
  });

  it.each<[string, () => Uint8Array, RegExp]>([
    ['is cut short', () => goldenAdapter().subarray(0, 5000), /adapter style cannot be used/],
    ['is no safetensors file', () => Buffer.from('PK and more that is not an adapter'), /adapter style cannot be used/],
    [
      'holds a NaN',
      () => changedAdapter((data, shape) => ({ shape, data: Float32Array.from(data).fill(NaN, 3, 4) })),
      /adapter style cannot be used.*(finite|NaN)/i,
    ],
    [
      'is of another model',
      () => changedAdapter((_data, shape) => ({ shape: [shape[0]!, 8], data: new Float32Array(shape[0]! * 8) })),
      /adapter style cannot be used/,
    ],
  ])('an adapter that %s, and the service goes on', async (_what, bytes, reason) => {
    await harness.bringIn('style', bytes());
    await harness.ask('g1', { adapters: [{ name: 'style', weight: 1 }] });
    const error = await fails('g1');
    expect(error).toMatch(reason);
    expect(error).not.toMatch(/tmp/);
    expect(await harness.draw('g2')).toHaveLength(1);
  });

  it('a request that killed the service at every try', async () => {
    await harness.stopService();
    await harness.ask('g1');
    await dieOver(harness.test.mesh, subjects.work.generate);
    await harness.startService();
    expect(await fails('g1')).toMatch(/died while handling it/);
  });
});

describe('the device', () => {
  const CAPACITY = 64 * 2 ** 20;
  const train = () =>
    acquireLease(harness.test.mesh, {
      device: 'cpu',
      capacity: CAPACITY,
      bytes: CAPACITY,
      owner: 'training',
      priority: leasePriorities.training,
    });
  beforeEach(async () => {
    harness = await Harness.start({ ATELIER_DEVICE_MIB: '64', ATELIER_IDLE_SECONDS: '600' });
  });

  it('is held while models are loaded, and let go at once for training when nothing is drawn', async () => {
    await harness.draw('g1');
    expect((await leasesOf(harness.test.mesh, 'cpu')).map(({ owner }) => owner)).toEqual(['inference']);
    const asked = Date.now();
    const lease = await train();
    expect(Date.now() - asked).toBeLessThan(3000);
    await lease.release();
    expect(await harness.draw('g2')).toHaveLength(1);
  });

  it('goes to training after the picture in hand; the rest is drawn when training is over', async () => {
    await harness.ask('g1', { count: 3, steps: 300 });
    await waitFor('a step', async () => (await harness.events('g1', 'progress')).length > 0);
    const lease = await train();
    const { images, state } = await harness.drawing('g1');
    expect([images, state]).toEqual([[], GenerationState.GENERATION_STATE_RUNNING]);
    await new Promise((resolve) => setTimeout(resolve, 500));
    const drawn = (await harness.blobs.list('samples')).length;
    expect(drawn).toBeLessThan(3);
    await lease.release();
    expect((await harness.over('g1')).images).toHaveLength(3);
  });

  it('that could never hold a picture refuses it with the numbers', async () => {
    await harness.stopService();
    await harness.startService({ ATELIER_DEVICE_MIB: '1' });
    await harness.ask('g1');
    expect((await harness.over('g1')).error).toMatch(/needs \d+ bytes of cpu, which has 1048576/);
  });

  it('is let go and asked for anew when a larger picture needs more of it', async () => {
    await harness.draw('small', { width: 32, height: 32 });
    const leased = async () => (await leasesOf(harness.test.mesh, 'cpu')).map(({ bytes }) => bytes);
    const [before] = await leased();
    await harness.draw('large', { width: 256, height: 256 });
    expect((await leased())[0]).toBeGreaterThan(before ?? Infinity);
  });
});
