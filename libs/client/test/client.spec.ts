import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import {
  buckets,
  calls,
  Dataset,
  DatasetState,
  eventSubjects,
  GenerateWork,
  Generation,
  GenerationState,
  IngestWork,
  Run,
  RunState,
  StatusReply,
  streams,
  subjects,
  type RunRef,
  type WorkSubject,
} from '@atelier/contracts';
import type { StreamedEvent } from '@atelier/jobs';
import { Mesh, type MessageType, done, publishEvent, runWorker } from '@atelier/mesh';
import { BlobStore, StateStore } from '@atelier/store';
import { startTestMesh } from '@atelier/testing';
import { AtelierClient } from '../src';
import { adapterBytes } from './fixtures';

type TestMesh = Awaited<ReturnType<typeof startTestMesh>>;

let testMesh: TestMesh;
let mesh: Mesh;
let client: AtelierClient;

beforeAll(async () => {
  testMesh = await startTestMesh();
  mesh = testMesh.mesh;
  client = await AtelierClient.connect(testMesh.url);
});

afterAll(async () => {
  await client?.close();
  await testMesh?.stop();
});

const picture = (name: string) => ({ name, data: Buffer.from(`bytes of ${name}`) });
const uploaded = (name: string) =>
  client.createDataset({ name, width: 64, height: 64, files: [picture('a.png'), picture('a.txt')] });

async function collect(events: AsyncIterable<StreamedEvent>): Promise<StreamedEvent[]> {
  const all: StreamedEvent[] = [];
  for await (const streamed of events) all.push(streamed);
  return all;
}

/** Plays a service for the test's time: takes one message off the real work queue and says that it is done. */
async function takeWork<T>(subject: WorkSubject, type: MessageType<never, T>): Promise<T> {
  const stop = new AbortController();
  let taken!: (message: T) => void;
  const message = new Promise<T>((resolve) => (taken = resolve));
  const worker = runWorker(mesh, { subject, type, signal: stop.signal }, async (work) => {
    taken(work);
    return done;
  });
  const result = await message;
  stop.abort();
  await worker;
  return result;
}

describe('data sets', () => {
  test('createDataset - files, state and work are on disk when it resolves', async () => {
    const seen: string[] = [];
    const dataset = await client.createDataset(
      {
        name: 'herons',
        trigger: 'in sks style',
        width: 64,
        height: 96,
        files: [
          picture('one.png'),
          { name: 'two.png', data: Readable.from([Buffer.from('half '), Buffer.from('and half')]) },
        ],
      },
      ({ file, bytes }) => seen.push(`${file} ${bytes}`),
    );
    expect(dataset.files.map(({ name, size }) => [name, size])).toEqual([
      ['one.png', 16],
      ['two.png', 13],
    ]);
    const stored = await new BlobStore(mesh).get(buckets.blobs.pictures, dataset.files[1]!.blob ?? '');
    expect(Buffer.from(stored).toString()).toBe('half and half');
    expect(await client.dataset(dataset.id)).toMatchObject({
      name: 'herons',
      trigger: 'in sks style',
      state: DatasetState.DATASET_STATE_UPLOADED,
    });
    expect((await client.dataset('herons')).id).toBe(dataset.id);
    expect(seen.at(-1)).toBe('two.png 29');
    const work = await takeWork(subjects.work.ingest, IngestWork);
    expect(work).toMatchObject({ datasetId: dataset.id, runId: '' });
  });

  test('createDataset - a source that fails leaves nothing behind', async () => {
    const before = (await new BlobStore(mesh).list(buckets.blobs.pictures)).length;
    async function* files() {
      yield picture('good.png');
      throw new Error('the disk was pulled out');
    }
    await expect(client.createDataset({ name: 'broken', files: files() })).rejects.toThrow('the disk was pulled out');
    await expect(client.dataset('broken')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect((await new BlobStore(mesh).list(buckets.blobs.pictures)).length).toBe(before);
  });

  test('createDataset - a file that fails before it is read, as the first over a connection, fails it', async () => {
    const fresh = await AtelierClient.connect(testMesh.url);
    try {
      const failing = new Readable({ read: () => undefined });
      const creating = fresh.createDataset({ name: 'unread', files: [{ name: 'a.png', data: failing }] });
      failing.destroy(new Error('the disk was pulled out'));
      await expect(creating).rejects.toThrow('the disk was pulled out');
      await expect(client.dataset('unread')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    } finally {
      await fresh.close();
    }
  });

  test('createDataset - refuses bad fields all at once, and a data set of nothing', async () => {
    await expect(client.createDataset({ name: 'No Name', width: 100, height: 0, files: [] })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      details: { name: expect.any(String), width: expect.stringContaining('16'), height: expect.any(String) },
    });
    await expect(client.createDataset({ name: 'empty', files: [] })).rejects.toThrow(/has no files/);
  });

  test('cancelDataset - holds when it resolves, is told once however often it is asked, and leaves one that is over as it is', async () => {
    const { id } = await uploaded('unwanted');
    await takeWork(subjects.work.ingest, IngestWork);
    expect((await client.cancelDataset('unwanted')).state).toBe(DatasetState.DATASET_STATE_CANCELLED);
    expect((await client.cancelDataset(id)).state).toBe(DatasetState.DATASET_STATE_CANCELLED);
    expect((await client.dataset(id)).state).toBe(DatasetState.DATASET_STATE_CANCELLED);
    const stop = new AbortController();
    const told = [];
    for await (const { event } of client.datasetEvents(id, { signal: stop.signal })) {
      told.push(event.datasetState);
      await publishEvent(
        mesh,
        eventSubjects.dataset(id, 'ingested'),
        { datasetIngested: {} },
        { msgId: `after.${id}` },
      );
      if (event.detail === 'datasetIngested') stop.abort();
    }
    expect(told).toEqual([
      expect.objectContaining({ datasetId: id, state: DatasetState.DATASET_STATE_CANCELLED }),
      null,
    ]);
    await expect(client.startFinetune({ dataset: id })).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining('was cancelled before it was read: upload it again'),
    });

    const read = await uploaded('read');
    await takeWork(subjects.work.ingest, IngestWork);
    for (const state of [DatasetState.DATASET_STATE_INGESTED, DatasetState.DATASET_STATE_FAILED]) {
      await new StateStore(mesh, buckets.state.datasets, Dataset).update(read.id, (value) =>
        Object.assign(value, { state }),
      );
      expect((await client.cancelDataset(read.id)).state).toBe(state);
    }
    await expect(client.cancelDataset('nope')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test('dataset - an unknown id or a hostile one is not found', async () => {
    for (const key of ['nope', '../../etc', 'a.b', '*', '>', ''])
      await expect(client.dataset(key)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

describe('fine-tunes', () => {
  const setDataset = (id: string, state: DatasetState) =>
    new StateStore(mesh, buckets.state.datasets, Dataset).update(id, (value) => Object.assign(value, { state }));
  const queued = async (): Promise<number> => {
    const { state } = await mesh.jsm.streams.info(streams.WORK, { subjects_filter: subjects.work.ingest });
    return state.subjects?.[subjects.work.ingest] ?? 0;
  };

  test('startFinetune - a run on a data set that is still to be read waits in it, and adds no message', async () => {
    const { id } = await uploaded('lakes');
    const before = await queued();
    const runs = [await client.startFinetune({ dataset: id }), await client.startFinetune({ dataset: id })];
    expect(await queued()).toBe(before);
    expect((await client.dataset(id)).waitingRuns).toEqual(runs.map((run) => run.id));
    expect(await takeWork(subjects.work.ingest, IngestWork)).toMatchObject({ datasetId: id, runId: '' });
  });

  test('startFinetune - a data set that is still to be read and has no message any more gets one, once', async () => {
    const { id } = await uploaded('lost');
    await takeWork(subjects.work.ingest, IngestWork);
    const before = await queued();
    await Promise.all([client.startFinetune({ dataset: id }), client.startFinetune({ dataset: id, name: 'found' })]);
    expect(await queued()).toBe(before + 1);
    expect(await takeWork(subjects.work.ingest, IngestWork)).toMatchObject({ datasetId: id, runId: '' });
  });

  test('startFinetune - on a data set that was read the run is queued with complete options, and its work names both', async () => {
    const dataset = await uploaded('ponds');
    await takeWork(subjects.work.ingest, IngestWork);
    await setDataset(dataset.id, DatasetState.DATASET_STATE_INGESTED);
    const run = await client.startFinetune({ dataset: 'ponds', options: { totalSteps: 3 } });
    expect(run).toMatchObject({ name: 'ponds', datasetId: dataset.id, state: RunState.RUN_STATE_QUEUED });
    expect((await client.run(run.id)).options).toMatchObject({ rank: 4, alpha: 4, totalSteps: 3 });
    expect(await takeWork(subjects.work.ingest, IngestWork)).toMatchObject({ datasetId: dataset.id, runId: run.id });
    expect((await client.runs()).map(({ id }) => id)).toContain(run.id);

    const second = await client.startFinetune({ dataset: 'ponds' });
    expect(second.name).toBe('ponds-2');
    await expect(client.startFinetune({ dataset: 'ponds', name: 'ponds' })).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
    });
    await expect(client.startFinetune({ dataset: 'ponds', name: '../up' })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    await expect(client.startFinetune({ dataset: 'nowhere' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test('startFinetune - a data set that could not be read is refused with its reason', async () => {
    const dataset = await uploaded('rotten');
    await new StateStore(mesh, buckets.state.datasets, Dataset).update(dataset.id, (value) => {
      value.state = DatasetState.DATASET_STATE_FAILED;
      value.error = 'no picture in it';
      return value;
    });
    await expect(client.startFinetune({ dataset: 'rotten' })).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining('no picture in it'),
    });
  });

  test('cancelRun - asks once, and leaves a run that is over as it is', async () => {
    await uploaded('brief');
    const { id } = await client.startFinetune({ dataset: 'brief' });
    expect((await client.cancelRun(id)).cancelRequested).toBe(true);
    expect((await client.cancelRun(id)).cancelRequested).toBe(true);
    await setState(id, RunState.RUN_STATE_CANCELLED);
    expect((await client.cancelRun(id)).state).toBe(RunState.RUN_STATE_CANCELLED);
  });

  test('runEvents - replays from the first, goes on from a position, and ends with the end', async () => {
    await uploaded('story');
    const run = await client.startFinetune({ dataset: 'story' });
    const { id, datasetId } = run;
    for (const step of [1, 2, 3])
      await publishEvent(mesh, eventSubjects.run({ id, datasetId }, 'step'), {
        runStep: { runId: id, step, totalSteps: 3, loss: 1 / step },
      });
    await publishEvent(mesh, eventSubjects.run({ id: 'run-another', datasetId }, 'step'), {
      runStep: { runId: 'run-another', step: 9 },
    });
    await publishEvent(mesh, eventSubjects.run({ id, datasetId }, 'state'), {
      runState: { runId: id, state: RunState.RUN_STATE_FINISHED },
    });

    const all = await collect(client.runEvents(id));
    expect(all.map(({ event }) => event.detail)).toEqual(['runStep', 'runStep', 'runStep', 'runState']);
    expect(all.map(({ event }) => event.runStep?.step)).toEqual([1, 2, 3, undefined]);
    const rest = await collect(client.runEvents(id, { after: all[1]!.sequence }));
    expect(rest.map(({ sequence }) => sequence)).toEqual(all.slice(2).map(({ sequence }) => sequence));
  });

  test('runEvents - has what the encoders do for its data set, and nothing they do for others', async () => {
    await uploaded('encoded');
    const { id, datasetId } = await client.startFinetune({ dataset: 'encoded' });
    const ready = (kind: 'latents' | 'prompts', key: string, of = datasetId) =>
      publishEvent(mesh, eventSubjects.encoder(kind, key, 'ready', of), {
        encodeReady: { key, kind, name: `${key}.png`, datasetId: of },
      });
    const state = (of: RunRef, value: RunState) =>
      publishEvent(mesh, eventSubjects.run(of, 'state'), { runState: { runId: of.id, state: value } });
    await ready('latents', 'mine-early');
    await ready('latents', 'foreign-early', 'dataset-of-others');
    await publishEvent(mesh, eventSubjects.run({ id, datasetId }, 'encoding'), {
      encodeSummary: { runId: id, latentsTotal: 1, promptsTotal: 1 },
    });
    await state({ id, datasetId }, RunState.RUN_STATE_ENCODING);
    await ready('prompts', 'foreign-late', 'dataset-of-others');
    await ready('prompts', 'drawn', '');
    await state({ id: 'run-beside', datasetId }, RunState.RUN_STATE_FINISHED);
    await ready('prompts', 'mine-late');
    await state({ id, datasetId }, RunState.RUN_STATE_FINISHED);

    const told = (all: StreamedEvent[]) => all.map(({ event }) => event.encodeReady?.key ?? event.detail);
    const all = await collect(client.runEvents(id));
    expect(told(all)).toEqual(['mine-early', 'encodeSummary', 'runState', 'mine-late', 'runState']);
    expect(told(await collect(client.runEvents(id, { after: all[2]!.sequence })))).toEqual(['mine-late', 'runState']);
  });

  test('runEvents - a run that an older version told of, whose events name no data set, is read as before', async () => {
    await uploaded('older');
    const { id } = await client.startFinetune({ dataset: 'older' });
    for (const state of [RunState.RUN_STATE_TRAINING, RunState.RUN_STATE_FINISHED])
      await publishEvent(mesh, eventSubjects.run({ id }, 'state'), { runState: { runId: id, state } });
    const all = await collect(client.runEvents(id));
    expect(all.map(({ event }) => event.runState?.state)).toEqual([
      RunState.RUN_STATE_TRAINING,
      RunState.RUN_STATE_FINISHED,
    ]);
  });

  test('runEvents - what was encoded for an earlier run is nothing that this one waited for, and a key that is asked for twice counts once', async () => {
    await uploaded('cached');
    const { id, datasetId } = await client.startFinetune({ dataset: 'cached' });
    const ready = (kind: 'latents' | 'prompts', key: string, seconds: number) =>
      publishEvent(mesh, eventSubjects.encoder(kind, key, 'ready', datasetId), {
        encodeReady: { key, kind, name: `${key}.png`, seconds, datasetId },
      });
    await ready('latents', 'before-1', 2);
    await ready('latents', 'own', 3);
    await ready('prompts', 'before-2', 1);
    await ready('latents', 'own', 0);
    await publishEvent(mesh, eventSubjects.run({ id, datasetId }, 'encoding'), {
      encodeSummary: { runId: id, latentsTotal: 2, latentsCached: 1, promptsTotal: 1, promptsCached: 1 },
    });
    await ready('latents', 'own', 0);
    await publishEvent(mesh, eventSubjects.run({ id, datasetId }, 'state'), {
      runState: { runId: id, state: RunState.RUN_STATE_FINISHED },
    });
    const told = (await collect(client.runEvents(id))).map(({ event }) =>
      event.encodeReady ? [event.encodeReady.key, event.encodeReady.seconds] : event.detail,
    );
    expect(told).toEqual([['own', 3], 'encodeSummary', 'runState']);
  });

  test('runEvents - ends as well when the run is over and nobody said so', async () => {
    await uploaded('silent');
    const { id } = await client.startFinetune({ dataset: 'silent' });
    await setState(id, RunState.RUN_STATE_FAILED);
    expect(await collect(client.runEvents(id))).toEqual([]);
  });

  test('runEvents - stops when its reader does', async () => {
    await uploaded('left');
    const { id } = await client.startFinetune({ dataset: 'left' });
    const stop = new AbortController();
    const reading = collect(client.runEvents(id, { signal: stop.signal }));
    setTimeout(() => stop.abort(), 200);
    expect(await reading).toEqual([]);
  });

  async function setState(id: string, state: RunState): Promise<void> {
    await new StateStore(mesh, buckets.state.runs, Run).update(id, (run) => {
      run.state = state;
      return run;
    });
  }
});

describe('adapters', () => {
  test('importAdapter - is listed, comes back byte for byte, and is replaced only on request', async () => {
    const bytes = adapterBytes({ rank: 2 });
    expect(await client.importAdapter('found', bytes)).toMatchObject({
      name: 'found',
      rank: 2,
      alpha: 2,
      size: bytes.byteLength,
    });
    expect((await client.adapters()).map(({ name }) => name)).toContain('found');
    expect(Buffer.compare(await buffer(await client.adapterFile('found')), Buffer.from(bytes))).toBe(0);
    await expect(client.importAdapter('found', bytes)).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    expect(await client.importAdapter('found', adapterBytes({ rank: 4 }), { replace: true })).toMatchObject({
      rank: 4,
    });
    expect((await client.adapter('found')).rank).toBe(4);
  });

  test('renameAdapter - is refused while a drawing that is not over uses it', async () => {
    await client.importAdapter('drawn-with', adapterBytes());
    const { id } = await client.generate({ prompt: 'a heron', adapters: [{ name: 'drawn-with' }] });
    await expect(client.renameAdapter('drawn-with', 'renamed')).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: `drawing ${id} (queued) uses adapter drawn-with: wait for its end, or cancel it`,
    });
    expect((await client.adapters()).map(({ name }) => name)).not.toContain('renamed');
    await client.cancelGeneration(id);
    await new StateStore(mesh, buckets.state.generations, Generation).update(id, (drawing) =>
      Object.assign(drawing, { state: GenerationState.GENERATION_STATE_CANCELLED }),
    );
    expect(await client.renameAdapter('drawn-with', 'renamed')).toMatchObject({ name: 'renamed' });
    await takeWork(subjects.work.generate, GenerateWork); // later tests take their own
  });

  test("importAdapter - one that does not fit inference's checkpoint is refused, where that one says its sizes", async () => {
    const sizes = { inChannels: 64, outChannels: 64, numLayers: 1, numSingleLayers: 1, heads: 2, headDim: 16 };
    const transformer = { ...sizes, jointDim: 8, pooledDim: 8, guidance: true, axesDims: [4, 6, 6] };
    const reply = StatusReply.encode({ service: 'inference', ready: true, transformer }).finish();
    const inference = mesh.nc.subscribe(calls.status('inference').subject, {
      callback: (_error, message) => void message.respond(reply),
    });
    await mesh.nc.flush();
    await expect(client.importAdapter('narrow', adapterBytes())).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(
        /^adapter file narrow cannot be used: sizes do not fit the model: 'transformer_blocks\.0\.attn\.to_q: 16 to 16, the model's is 32 to 32'/,
      ),
    });
    inference.unsubscribe();
    await mesh.nc.flush();
    expect(await client.importAdapter('narrow', adapterBytes())).toMatchObject({ rank: 2 });
  });

  test('startFinetune - a data set named as the base gives its adapter another name', async () => {
    const { id } = await uploaded('base');
    await takeWork(subjects.work.ingest, IngestWork);
    expect((await client.startFinetune({ dataset: id })).name).toBe('base-2');
    await expect(client.startFinetune({ dataset: id, name: 'base' })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(/"base" means the checkpoint with no adapter/),
    });
  });

  test('importAdapter - a bad file changes nothing', async () => {
    await expect(client.importAdapter('bad', Buffer.from('not a safetensors file'))).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    await expect(client.adapter('bad')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(client.adapterFile('../bad')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

describe('drawings', () => {
  const settle = (id: string, change: Partial<Generation>) =>
    new StateStore(mesh, buckets.state.generations, Generation).update(id, (generation) =>
      Object.assign(generation, change),
    );

  test('generate - is queued with a seed, and finishedGeneration gives its pictures', async () => {
    const { id, work } = await client.generate({ prompt: 'a heron', width: 64, height: 64, steps: 2 });
    expect(Number.isInteger(Number(work?.seed))).toBe(true);
    expect(await takeWork(subjects.work.generate, GenerateWork)).toMatchObject({
      id,
      prompt: 'a heron',
      steps: 2,
      count: 1,
      format: 'png',
    });
    const finished = client.finishedGeneration(id);
    await new BlobStore(mesh).put(buckets.blobs.samples, `${id}-0.png`, Buffer.from('pixels'));
    await settle(id, { state: GenerationState.GENERATION_STATE_FINISHED, images: [`${id}-0.png`] });
    await publishEvent(mesh, eventSubjects.generation(id, 'state'), {
      generateState: { id, state: GenerationState.GENERATION_STATE_FINISHED },
    });
    expect((await finished).images).toEqual([`${id}-0.png`]);
    expect((await buffer(await client.image(`${id}-0.png`))).toString()).toBe('pixels');
  });

  test('finishedGeneration - a failed drawing is an error with its reason', async () => {
    const { id } = await client.generate({ prompt: 'a heron' });
    await settle(id, { state: GenerationState.GENERATION_STATE_FAILED, error: 'out of memory: 3 of 2 GiB' });
    await expect(client.finishedGeneration(id)).rejects.toThrow(/3 of 2 GiB/);
  });

  test('generate - refuses unknown adapters and bad sizes before anything is queued', async () => {
    await expect(client.generate({ prompt: 'x', adapters: [{ name: 'nobody' }] })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
    await expect(client.generate({ prompt: '', width: 100, steps: 0 })).rejects.toMatchObject({
      details: { prompt: expect.any(String), width: expect.any(String), steps: expect.any(String) },
    });
    await expect(client.image('nothing.png')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  test('cancelGeneration - notes the request', async () => {
    const { id } = await client.generate({ prompt: 'a heron' });
    expect((await client.cancelGeneration(id)).cancelRequested).toBe(true);
  });
});
