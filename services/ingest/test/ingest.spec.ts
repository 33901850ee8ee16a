import sharp from 'sharp';
import {
  DatasetState,
  eventSubjects,
  LatentsWork,
  Manifest,
  Run,
  RunState,
  streams,
  subjects,
  type Dataset,
} from '@atelier/contracts';
import { deadLetter, runWorker, workPolicies } from '@atelier/mesh';
import { Datasets, Runs } from '@atelier/jobs';
import { dieOver, waitFor } from '@atelier/testing';
import { makeZip } from './archives';
import { Harness, type Files } from './harness';

let harness: Harness;
beforeEach(async () => {
  harness = await Harness.start();
});
afterEach(() => harness.stop());

const colours = ['#a01010', '#10a010', '#1010a0', '#a0a010'];

async function picture(index: number, width = 100, height = 80): Promise<Buffer> {
  return sharp({ create: { width, height, channels: 3, background: colours[index]! } })
    .png()
    .toBuffer();
}

async function threePictures(): Promise<Files> {
  const files: Files = {};
  for (const index of [0, 1, 2]) {
    files[`${index}.png`] = await picture(index);
    files[`${index}.txt`] = `picture ${index}`;
  }
  return files;
}

const runOn = (datasetId: string, id: string): Run =>
  Run.create({ id, name: id, datasetId, state: RunState.RUN_STATE_QUEUED });

/** As the encoders would: everything that was asked for is there afterwards. */
async function encodeAll(): Promise<void> {
  for (const { key } of await harness.latentsWork()) await harness.tensors.put('latents', key, Buffer.from('latents'));
  for (const { key } of await harness.promptsWork()) await harness.tensors.put('prompts', key, Buffer.from('prompts'));
}

async function summaries(id: string): Promise<object[]> {
  return (await harness.events(`events.dataset.${id}.encoding`)).map(({ encodeSummary }) => ({ ...encodeSummary }));
}

describe('a data set', () => {
  it('becomes a manifest, prepared pictures, work for the encoders, and events that say so', async () => {
    await harness.upload('d1', await threePictures());
    const dataset = await harness.ingest('d1');
    expect(dataset).toMatchObject({
      state: DatasetState.DATASET_STATE_INGESTED,
      samples: 3,
      duplicates: 0,
      rejected: [],
    });
    const { samples, vaeFingerprint } = await harness.manifest(dataset);
    expect(vaeFingerprint).toMatch(/^[0-9a-f]{64}$/);
    expect(samples.map(({ name, caption, width, height }) => [name, caption, width, height])).toEqual([
      ['0.png', 'picture 0', 64, 64],
      ['1.png', 'picture 1', 64, 64],
      ['2.png', 'picture 2', 64, 64],
    ]);
    const latents = await harness.latentsWork();
    expect(latents.map(({ key, name, width, height }) => [key, name, width, height])).toEqual(
      samples.map(({ latentsKey, name }) => [latentsKey, name, 64, 64]),
    );
    expect((await harness.promptsWork()).map(({ key, caption, maxLength }) => [key, caption, maxLength])).toEqual(
      samples.map(({ promptsKey, caption }) => [promptsKey, caption, 512]),
    );
    for (const [index, work] of latents.entries()) {
      const pixels = await sharp(await harness.blobs.get('pictures', work.picture))
        .raw()
        .toBuffer();
      expect(`#${pixels.subarray(0, 3).toString('hex')}`).toBe(colours[index]);
    }
    expect(await summaries('d1')).toEqual([
      { datasetId: 'd1', runId: '', latentsTotal: 3, latentsCached: 0, promptsTotal: 3, promptsCached: 0 },
    ]);
    const { datasetIngested } = (await harness.events('events.dataset.d1.ingested'))[0]!;
    expect(datasetIngested).toMatchObject({ datasetId: 'd1', samples: 3 });
    expect(await harness.trainWork()).toEqual([]);
  });

  it('that is there already asks the encoders for nothing and says so, however it is packed', async () => {
    const files = await threePictures();
    await harness.upload('d1', files);
    await harness.ingest('d1');
    await encodeAll();
    await harness.upload('d2', { 'same.zip': await makeZip(files) });
    await harness.ingest('d2');
    expect(await summaries('d2')).toEqual([
      { datasetId: 'd2', runId: '', latentsTotal: 3, latentsCached: 3, promptsTotal: 3, promptsCached: 3 },
    ]);
    expect(await harness.latentsWork()).toHaveLength(3);
    expect(await harness.promptsWork()).toHaveLength(3);
  });

  it('with one caption changed asks for one prompt and no picture', async () => {
    const files = await threePictures();
    await harness.upload('d1', files);
    await harness.ingest('d1');
    await encodeAll();
    await harness.upload('d2', { ...files, '1.txt': 'something else' });
    await harness.ingest('d2');
    expect(await summaries('d2')).toEqual([
      { datasetId: 'd2', runId: '', latentsTotal: 3, latentsCached: 3, promptsTotal: 3, promptsCached: 2 },
    ]);
    expect((await harness.promptsWork()).map(({ caption }) => caption)).toEqual([
      'picture 0',
      'picture 1',
      'picture 2',
      'something else',
    ]);
  });

  it('ingested twice leaves what it left the first time', async () => {
    await harness.upload('d1', await threePictures());
    const first = await harness.ingest('d1');
    const second = await harness.ingest('d1');
    expect(second).toEqual(first);
    expect(await harness.latentsWork()).toHaveLength(3);
    expect(await harness.promptsWork()).toHaveLength(3);
    expect(await harness.events('events.dataset.d1.ingested')).toHaveLength(1);
  });

  it('reports every bad file by name with the reason, finds duplicates by content, and goes on', async () => {
    const good = await picture(0);
    await harness.upload(
      'd1',
      {
        'a.png': good,
        'b-same.webp': await sharp(good).webp({ lossless: true }).toBuffer(),
        'c-truncated.png': good.subarray(0, good.length - 40),
        'd-empty.jpg': '',
        'e-text.jpg': 'not a picture',
        'f.doc': 'what is this',
        'g-broken.zip': 'PK but no',
        'h.png': await picture(1),
      },
      { trigger: 'in sks style' },
    );
    const dataset = (await harness.ingest('d1')) as Dataset;
    expect((await harness.manifest(dataset)).samples.map(({ name, caption }) => `${name}: ${caption}`)).toEqual([
      'a.png: in sks style',
      'h.png: in sks style',
    ]);
    expect(dataset).toMatchObject({ samples: 2, duplicates: 1, state: DatasetState.DATASET_STATE_INGESTED });
    expect(dataset.rejected.map(({ name }) => name).sort()).toEqual([
      'c-truncated.png',
      'd-empty.jpg',
      'e-text.jpg',
      'f.doc',
      'g-broken.zip',
    ]);
    for (const { reason } of dataset.rejected) expect(reason).toMatch(/^(is|cannot) .{10}/);
    expect(await harness.deadLetters()).toEqual([]);
  });

  it('with buckets keeps each picture near its own shape; with flip it holds mirror images too', async () => {
    const half = sharp({ create: { width: 50, height: 100, channels: 3, background: '#000' } });
    const lopsided = await sharp({ create: { width: 100, height: 100, channels: 3, background: '#fff' } })
      .composite([{ input: await half.png().toBuffer(), left: 0, top: 0 }])
      .png()
      .toBuffer();
    await harness.upload(
      'd1',
      { 'even.png': await picture(0, 300, 100), 'lopsided.png': lopsided },
      { trigger: 'x', transform: { width: 64, height: 64, buckets: true, flip: true } },
    );
    const { samples } = await harness.manifest(await harness.ingest('d1'));
    expect(samples.map(({ name, width, height }) => `${name} ${width}x${height}`)).toEqual([
      'even.png 96x32',
      'even.png (mirrored) 96x32',
      'lopsided.png 64x64',
      'lopsided.png (mirrored) 64x64',
    ]);
    expect(new Set(samples.map(({ latentsKey }) => latentsKey)).size).toBe(4);
  });

  it.each([
    ['no picture', {}, {}, 'there is no picture in it'],
    [
      'nothing but bad files',
      { 'a.jpg': 'x' },
      { trigger: 't' },
      'none of its files can be used: a.jpg is text and not a picture',
    ],
    ['a picture without caption or trigger', { 'a.png': 'x' }, {}, 'a.png has no caption'],
    [
      'an impossible size',
      { 'a.png': 'x' },
      { transform: { width: 60, height: 64 } },
      'pictures cannot be made 60 × 64',
    ],
    [
      'a size whose latents fit no message',
      { 'a.png': 'x' },
      { transform: { width: 4096, height: 2048 } },
      'pictures cannot be made 4096 × 2048',
    ],
    ['an unknown crop', { 'a.png': 'x' }, { transform: { width: 64, height: 64, crop: 'smart' } }, 'crop is "smart"'],
  ])('of %s fails with the reason, and its run with it', async (_what, files, more, reason) => {
    await harness.upload('d1', files, more);
    await harness.createRun('r1', 'd1');
    const dataset = await harness.ingest('d1', 'r1');
    expect(dataset?.state).toBe(DatasetState.DATASET_STATE_FAILED);
    expect(dataset?.error).toContain(reason);
    const run = (await harness.runs.get('r1'))?.value;
    expect(run?.state).toBe(RunState.RUN_STATE_FAILED);
    expect(run?.error).toContain(reason);
    expect(await harness.deadLetters()).toHaveLength(1);
    expect(await harness.trainWork()).toEqual([]);
  });

  it('that is not there, since a person deleted it, is no work and no dead letter', async () => {
    expect(await harness.ingest('nowhere')).toBeUndefined();
    expect(await harness.deadLetters()).toEqual([]);
  });
});

describe('a run', () => {
  it('gets its manifest and waits for its encodings, and no trainer hears of it before they are there', async () => {
    await harness.upload('d1', await threePictures());
    const { manifest } = (await harness.ingest('d1'))!;
    await harness.createRun('r1', 'd1');
    await harness.ingest('d1', 'r1');
    await harness.ingest('d1', 'r1');
    const encoding = { state: RunState.RUN_STATE_ENCODING, manifest, encoded: false };
    expect((await harness.runs.get('r1'))?.value).toMatchObject(encoding);
    expect(await harness.trainWork()).toEqual([]);
    expect(await harness.events(eventSubjects.run({ id: 'r1', datasetId: 'd1' }, 'encoding'))).toHaveLength(1);
    expect(await harness.events(eventSubjects.run({ id: 'r1', datasetId: 'd1' }, 'state'))).toHaveLength(1);
  });

  it('whose encodings are there already is queued for a trainer at once, by one message, however often it is asked', async () => {
    await harness.upload('d1', await threePictures());
    const { manifest } = (await harness.ingest('d1'))!;
    await encodeAll();
    await harness.createRun('r1', 'd1');
    await harness.ingest('d1', 'r1');
    await harness.ingest('d1', 'r1');
    const queued = { state: RunState.RUN_STATE_QUEUED, manifest, encoded: true };
    expect((await harness.runs.get('r1'))?.value).toMatchObject(queued);
    expect(await harness.trainWork()).toEqual([expect.objectContaining({ runId: 'r1', manifest })]);
    const told = await harness.events(eventSubjects.run({ id: 'r1', datasetId: 'd1' }, 'state'));
    expect(told.map(({ runState }) => runState?.state)).toEqual([RunState.RUN_STATE_ENCODING, queued.state]);
  });

  it('has its validation prompts encoded before a trainer hears of it', async () => {
    await harness.upload('d1', await threePictures());
    await harness.ingest('d1');
    await encodeAll();
    const options = { validationPrompts: ['a heron', 'a boat'], validateEvery: 2 };
    await harness.createRun('r1', 'd1', { options });
    await harness.ingest('d1', 'r1');
    expect(await harness.trainWork()).toEqual([]);
    const asked = (await harness.promptsWork()).slice(3);
    expect(asked.map(({ caption, datasetId }) => [caption, datasetId])).toEqual([
      ['a heron', 'd1'],
      ['a boat', 'd1'],
    ]);
    await encodeAll();
    await harness.ingest('d1', 'r1');
    expect(await harness.trainWork()).toHaveLength(1);
  });

  it('that a trainer gave back is encoded by the manifest that it began with, though its data set has another by now', async () => {
    await harness.upload('d1', await threePictures());
    const { manifest } = (await harness.ingest('d1'))!;
    await encodeAll();
    await harness.createRun('r1', 'd1', { manifest, state: RunState.RUN_STATE_ENCODING, turns: 2 });
    await harness.test.mesh.jsm.streams.purge(streams.TENSORS);
    await harness.test.mesh.jsm.streams.purge(streams.WORK);
    await harness.stopService();
    await harness.startService({ ATELIER_TEXT_TOKENS: '64' });
    await harness.ingest('d1', 'r1');
    const { samples } = Manifest.decode(await harness.blobs.get('manifests', manifest));
    const asked = new Set((await harness.promptsWork()).map(({ key }) => key));
    for (const { promptsKey } of samples) expect(asked).toContain(promptsKey);
    await encodeAll();
    await harness.ingest('d1', 'r1');
    expect(await harness.trainWork()).toEqual([expect.objectContaining({ runId: 'r1', manifest })]);
  });

  it('that waits for its data set is started when that is read, and has the manifest and the summary of its data set', async () => {
    await harness.stopService();
    await harness.upload('d1', await threePictures());
    for (const id of ['r1', 'r2']) await new Runs(harness.test.mesh).queue(runOn('d1', id));
    expect(await harness.queued(subjects.work.ingest)).toBe(1);
    await harness.startService();
    await waitFor('the queue to be empty', async () => (await harness.queued(subjects.work.ingest)) === 0);
    const { manifest, waitingRuns } = (await harness.datasets.get('d1'))!.value;
    for (const id of ['r1', 'r2']) {
      expect((await harness.runs.get(id))?.value).toMatchObject({ state: RunState.RUN_STATE_ENCODING, manifest });
      const [told, ...more] = await harness.events(eventSubjects.run({ id, datasetId: 'd1' }, 'encoding'));
      expect(told?.encodeSummary).toMatchObject({ datasetId: 'd1', runId: id, latentsTotal: 3, latentsCached: 0 });
      expect(more).toEqual([]);
    }
    expect(await harness.latentsWork()).toHaveLength(3);
    expect(waitingRuns).toEqual([]);
  });

  it('is started though its service died between the end of its data set and its start, and twice is once', async () => {
    await harness.upload('d1', await threePictures());
    const { manifest } = (await harness.ingest('d1'))!;
    await encodeAll();
    await harness.createRun('r1', 'd1');
    await harness.createRun('r2', 'd1');
    for (let deliveries = 0; deliveries < 2; deliveries++) {
      // As it stands when the data set's end was written, and of the runs that waited for it none or one was started.
      await harness.datasets.update('d1', (dataset) => Object.assign(dataset, { waitingRuns: ['r1', 'r2'] }));
      await harness.ingest('d1');
    }
    for (const id of ['r1', 'r2'])
      expect((await harness.runs.get(id))?.value).toMatchObject({ state: RunState.RUN_STATE_QUEUED, manifest });
    expect((await harness.trainWork()).map(({ runId }) => runId)).toEqual(['r1', 'r2']);
    expect(await harness.events('events.dataset.d1.ingested')).toHaveLength(1);
  });

  it('whose own message comes before its data set was read is started with that; the data set is read once', async () => {
    await harness.upload('d1', await threePictures());
    await harness.createRun('r1', 'd1');
    await harness.ingest('d1', 'r1'); // an older client's, and the data set's own was never sent
    expect((await harness.runs.get('r1'))?.value.state).toBe(RunState.RUN_STATE_ENCODING);
    expect(await harness.events('events.dataset.d1.ingested')).toHaveLength(1);
  });

  it('asks for nothing that its data set, or an earlier run on it, has asked for and that waits for its encoder', async () => {
    await harness.upload('d1', await threePictures());
    await harness.ingest('d1');
    for (const id of ['r1', 'r2']) {
      await harness.createRun(id, 'd1');
      await harness.ingest('d1', id);
    }
    expect(await harness.latentsWork()).toHaveLength(3);
    expect(await harness.promptsWork()).toHaveLength(3);
    const told = await harness.events(eventSubjects.run({ id: 'r2', datasetId: 'd1' }, 'encoding'));
    expect(told[0]?.encodeSummary).toMatchObject({ latentsTotal: 3, latentsCached: 0, promptsCached: 0 });
  });

  it('asks again for what could not be encoded, was lost, or was cleared away; each once, however often it is asked', async () => {
    await harness.upload('d1', await threePictures());
    await harness.ingest('d1');
    const stop = new AbortController();
    let left = 3;
    const refusing = runWorker(
      harness.test.mesh,
      { subject: subjects.work.latents, type: LatentsWork, signal: stop.signal },
      () => {
        if (--left === 0) stop.abort();
        return Promise.resolve(deadLetter('it is cut off'));
      },
    );
    await refusing;
    expect(await harness.deadLetters()).toHaveLength(3);
    await harness.test.mesh.jsm.streams.purge(streams.WORK, { filter: subjects.work.prompts });
    for (const id of ['r1', 'r2']) {
      await harness.createRun(id, 'd1');
      await harness.ingest('d1', id);
      expect(await harness.latentsWork()).toHaveLength(3);
      expect(await harness.promptsWork()).toHaveLength(3);
    }
    await encodeAll();
    for (const kind of ['latents', 'prompts'] as const)
      await harness.test.mesh.jsm.streams.purge(streams.WORK, { filter: subjects.work[kind] });
    await harness.test.mesh.jsm.streams.purge(streams.TENSORS);
    await harness.createRun('r3', 'd1');
    await harness.ingest('d1', 'r3');
    expect(await harness.latentsWork()).toHaveLength(3);
    expect(await harness.promptsWork()).toHaveLength(3);
  });

  it('is told of what another data set has asked for as well', async () => {
    await harness.upload('d1', await threePictures());
    await harness.ingest('d1');
    await harness.upload('d2', await threePictures());
    await harness.ingest('d2');
    expect((await harness.latentsWork()).map(({ datasetId }) => datasetId)).toEqual([
      'd1',
      'd1',
      'd1',
      'd2',
      'd2',
      'd2',
    ]);
  });

  it('after the text length was changed has its captions keyed anew: a key never gets embeds of another length', async () => {
    await harness.upload('d1', await threePictures());
    const before = await harness.manifest(await harness.ingest('d1'));
    await harness.stopService();
    await harness.startService({ ATELIER_TEXT_TOKENS: '64' });
    await harness.createRun('r1', 'd1');
    const after = await harness.manifest(await harness.ingest('d1', 'r1'));
    expect(after.samples.map(({ latentsKey }) => latentsKey)).toEqual(
      before.samples.map(({ latentsKey }) => latentsKey),
    );
    const old = new Set(before.samples.map(({ promptsKey }) => promptsKey));
    expect(after.samples.filter(({ promptsKey }) => old.has(promptsKey ?? ''))).toEqual([]);
    expect((await harness.promptsWork()).map(({ maxLength }) => maxLength)).toEqual([512, 512, 512, 64, 64, 64]);
  });

  it('does not lose its pictures when the prepared ones were cleared away before they were encoded', async () => {
    await harness.upload('d1', await threePictures());
    await harness.ingest('d1');
    const work = (await harness.latentsWork())[0]!;
    await harness.blobs.delete('pictures', work.picture);
    await harness.createRun('r1', 'd1');
    await harness.ingest('d1', 'r1');
    expect(await harness.blobs.has('pictures', work.picture)).toBe(true);
  });

  it('that was cancelled while it waited ends as cancelled and costs nothing', async () => {
    await harness.upload('d1', await threePictures());
    await harness.createRun('r1', 'd1');
    await harness.runs.update('r1', (run) => Object.assign(run, { cancelRequested: true }));
    await harness.ingest('d1', 'r1');
    expect((await harness.runs.get('r1'))?.value.state).toBe(RunState.RUN_STATE_CANCELLED);
    expect(await harness.latentsWork()).toEqual([]);
  });
});

describe('the service', () => {
  it('stopped in the middle leaves the work to the next one', async () => {
    await harness.stopService();
    await harness.upload('d1', await threePictures());
    await harness.ask('d1');
    await harness.startService();
    await harness.ingest('d1');
    expect(await harness.latentsWork()).toHaveLength(3);
  });

  it('stopped in the middle, however often, leaves the work to the next one, which comes to the same', async () => {
    const files: Files = {};
    for (let index = 0; index < 60; index++) {
      files[`${index}.png`] = await sharp({
        create: { width: 300, height: 200, channels: 3, background: { r: 4 * index, g: 100, b: 50 } },
      })
        .png()
        .toBuffer();
      files[`${index}.txt`] = `picture ${index}`;
    }
    const zip = { 'pictures.zip': await makeZip(files) };
    await harness.upload('undisturbed', zip);
    const undisturbed = await harness.manifest(await harness.ingest('undisturbed'));
    await harness.stopService();

    await harness.upload('stopped', zip);
    await harness.ask('stopped');
    for (let stops = 0; stops < workPolicies[subjects.work.ingest].maxAttempts + 2; stops++) {
      await harness.startService();
      await waitFor('work in hand', async () => (await harness.inHand()) === 1);
      await harness.stopService();
      expect((await harness.datasets.get('stopped'))!.value.state).toBe(DatasetState.DATASET_STATE_UPLOADED);
    }
    await harness.startService();
    const manifest = await harness.manifest(await harness.settled('stopped'));
    expect(manifest.samples).toEqual(undisturbed.samples);
    expect(await harness.deadLetters()).toEqual([]);
  });

  it('that died over a data set at every try leaves it and its run failed, not waiting for ever', async () => {
    await harness.stopService();
    await harness.upload('d1', await threePictures());
    await harness.createRun('r1', 'd1');
    await harness.ask('d1');
    await new Datasets(harness.test.mesh).keepWaiting('d1', 'r1');
    await harness.test.mesh.jsm.streams.purge(streams.WORK, { filter: subjects.work.ingest, keep: 1 });
    await dieOver(harness.test.mesh, subjects.work.ingest);
    await harness.startService();
    const run = await waitFor('the run to fail', async () => (await harness.runs.get('r1'))?.value.error || undefined);
    expect(run).toBe('data set d1: the service died while handling it, 5 times in a row without getting further');
    expect((await harness.datasets.get('d1'))?.value).toMatchObject({
      state: DatasetState.DATASET_STATE_FAILED,
      error: 'the service died while handling it, 5 times in a row without getting further',
    });
  });

  it('reports all bad settings at once, by name', async () => {
    const starting = harness.startService({
      ATELIER_MODEL: '',
      ATELIER_INGEST_PARALLEL: '0',
      ATELIER_INGEST_MAX_FILES: 'many',
    });
    await expect(starting).rejects.toThrow(
      /ATELIER_MODEL is not set[^]*ATELIER_INGEST_PARALLEL is "0"[^]*ATELIER_INGEST_MAX_FILES is "many"/,
    );
  });
});
