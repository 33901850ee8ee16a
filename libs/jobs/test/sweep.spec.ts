import {
  AdapterInfo,
  buckets,
  Dataset,
  DatasetState,
  Generation,
  GenerationState,
  Manifest,
  Run,
  RunState,
  timestamp,
  type BlobBucket,
} from '@atelier/contracts';
import { BlobStore, clearTensor, StateStore, surveyBucket, surveyTensors, TensorStore } from '@atelier/store';
import { startTestMesh, type TestMesh } from '@atelier/testing';
import { storeUsage, Sweep, type Counted, type SweepRules } from '../src';

const KiB = 1024;
const DAY = 24 * 3_600_000;
const RULES: SweepRules = { graceMs: 0, promptsKeptMs: 0 };

let test_: TestMesh;
let blobs: BlobStore;
let tensors: TensorStore;
let datasets: StateStore<Dataset>;
let runs: StateStore<Run>;
let generations: StateStore<Generation>;

beforeEach(async () => {
  test_ = await startTestMesh();
  blobs = new BlobStore(test_.mesh);
  tensors = new TensorStore(test_.mesh);
  datasets = new StateStore(test_.mesh, 'datasets', Dataset);
  runs = new StateStore(test_.mesh, 'runs', Run);
  generations = new StateStore(test_.mesh, 'generations', Generation);
});
afterEach(() => test_.stop());

const put = (bucket: BlobBucket, name: string, bytes = KiB): Promise<void> =>
  blobs.put(bucket, name, Buffer.alloc(bytes, name));
const names = async (bucket: BlobBucket): Promise<string[]> => (await blobs.names(bucket)).sort();
const encode = (kind: 'latents' | 'prompts', ...keys: string[]): Promise<unknown> =>
  Promise.all(keys.map((key) => tensors.put(kind, key, Buffer.alloc(KiB, key))));
const encoded = async (kind: 'latents' | 'prompts', ...keys: string[]): Promise<string[]> => {
  const there = await Promise.all(keys.map((key) => tensors.has(kind, key)));
  return keys.filter((_key, i) => there[i]);
};
const sweep = (rules: Partial<SweepRules> = {}, dryRun = false): Promise<Counted[]> =>
  new Sweep(test_.mesh, { ...RULES, ...rules }, { dryRun }).run();

/** A data set, or a run on one, with a sample for each key. */
async function manifestOf(name: string, ...keys: string[]): Promise<string> {
  const samples = keys.map((key) => ({ latentsKey: `l${key}`, promptsKey: `p${key}` }));
  await blobs.put('manifests', name, Manifest.encode({ samples }).finish());
  await encode('latents', ...keys.map((key) => `l${key}`));
  await encode('prompts', ...keys.map((key) => `p${key}`));
  return name;
}
const addDataset = async (id: string, manifest: string, state = DatasetState.DATASET_STATE_INGESTED): Promise<void> =>
  datasets.create(id, Dataset.create({ id, name: id, manifest, state }));
const addRun = async (id: string, state: RunState, more: Partial<Run> = {}): Promise<void> =>
  runs.create(id, Run.create({ id, state, createdAt: timestamp(), finishedAt: timestamp(), ...more }));
const kindsOf = (cleared: Counted[]): Record<string, [number, number]> =>
  Object.fromEntries(cleared.map(({ kind, count, bytes }) => [kind, [count, bytes]]));

describe('encodings', () => {
  test('stay as long as a data set or a run that is not over names them, and go by the figures', async () => {
    await addDataset('d', await manifestOf('of-d', '1', '2'));
    await addRun('working', RunState.RUN_STATE_TRAINING, { manifest: await manifestOf('of-working', '2', '3') });
    await addRun('over', RunState.RUN_STATE_FINISHED, { manifest: await manifestOf('of-over', '4') });
    await encode('prompts', 'drawing');
    const dry = await sweep({}, true);
    expect(await encoded('latents', 'l1', 'l2', 'l3', 'l4')).toHaveLength(4);
    const cleared = await sweep();
    expect(cleared).toEqual(dry);
    expect(kindsOf(cleared)).toEqual({
      manifests: [1, expect.any(Number)],
      latents: [1, KiB],
      prompts: [2, 2 * KiB],
    });
    expect(await encoded('latents', 'l1', 'l2', 'l3', 'l4')).toEqual(['l1', 'l2', 'l3']);
    expect(await encoded('prompts', 'p1', 'p2', 'p3', 'p4', 'drawing')).toEqual(['p1', 'p2', 'p3']);
    expect(await names('manifests')).toEqual(['of-d', 'of-working']);
    expect(await sweep()).toEqual([]);
  });

  test('none goes while a data set is read, or a run is still to be given its manifest', async () => {
    await encode('latents', 'a');
    await put('pictures', 'prepared/b.png');
    await addDataset('d', '', DatasetState.DATASET_STATE_UPLOADED);
    expect(await sweep()).toEqual([]);
    await datasets.update('d', (d) => Dataset.create({ ...d, state: DatasetState.DATASET_STATE_FAILED }));
    await addRun('r', RunState.RUN_STATE_QUEUED);
    expect(await sweep()).toEqual([]);
    await runs.update('r', (r) => Run.create({ ...r, state: RunState.RUN_STATE_CANCELLED }));
    expect(kindsOf(await sweep())).toEqual({ latents: [1, KiB], 'prepared pictures': [1, KiB] });
  });

  test('keeps the embeds of validation prompts of a run that is not over, which no manifest names', async () => {
    await encode('prompts', 'awaited', 'drawing');
    const state = RunState.RUN_STATE_PAUSED;
    await runs.create('r', Run.create({ id: 'r', state, promptsKeys: ['awaited'] }));
    await sweep();
    expect(await encoded('prompts', 'awaited', 'drawing')).toEqual(['awaited']);
  });

  test('those of drawings stay for their time, and the oldest go where they are over their limit', async () => {
    for (const key of ['p0', 'p1', 'p2']) await encode('prompts', key);
    expect(await sweep({ promptsKeptMs: DAY })).toEqual([]);
    expect(await sweep({ promptsKeptMs: DAY, promptsLimit: 2 * KiB })).toEqual([]);
    jest.spyOn(Date, 'now').mockReturnValue(Date.now() + 3_600_000);
    try {
      expect(kindsOf(await sweep({ promptsKeptMs: DAY, promptsLimit: 2 * KiB }))).toEqual({ prompts: [1, KiB] });
    } finally {
      jest.restoreAllMocks();
    }
    expect(await encoded('prompts', 'p0', 'p1', 'p2')).toEqual(['p1', 'p2']);
  });

  test('one that is made anew after it was seen stays', async () => {
    await encode('latents', 'a');
    const [seen] = await surveyTensors(test_.mesh);
    await encode('latents', 'a');
    await clearTensor(test_.mesh, seen!);
    expect(await encoded('latents', 'a')).toEqual(['a']);
  });

  test('prepared pictures go once their latents are there', async () => {
    await addDataset('d', await manifestOf('of-d', '1'));
    await put('pictures', 'prepared/l1.png');
    expect(kindsOf(await sweep())).toEqual({ 'prepared pictures': [1, KiB] });
    expect(await encoded('latents', 'l1')).toEqual(['l1']);
  });
});

describe('what an upload, a run or a drawing left', () => {
  test('files of no data set go after the grace; those of one that still comes, and of one that is there, stay', async () => {
    await put('pictures', 'uploads/gone/0');
    await put('pictures', 'uploads/there/0');
    await addDataset('there', '');
    expect(await sweep({ graceMs: DAY })).toEqual([]);
    expect(kindsOf(await sweep())).toEqual({ 'uploaded files': [1, KiB] });
    expect(await names('pictures')).toEqual(['uploads/there/0']);
  });

  test('chunks that no entry names go after the grace, and no object loses any', async () => {
    await put('pictures', 'uploads/d/0', 700 * KiB);
    await addDataset('d', '');
    await test_.mesh.js.publish('$O.pictures.C.loose', Buffer.alloc(10 * KiB));
    await test_.mesh.js.publish('$O.pictures.C.loose', Buffer.alloc(KiB));
    expect((await storeUsage(test_.mesh)).find(({ kind }) => kind === 'unfinished uploads')).toMatchObject({
      count: 1,
      bytes: 11 * KiB,
    });
    expect(await sweep({ graceMs: DAY })).toEqual([]);
    expect(kindsOf(await sweep())).toEqual({ 'unfinished uploads': [1, 11 * KiB] });
    expect((await surveyBucket(test_.mesh, 'pictures')).loose).toEqual([]);
    expect(await blobs.get('pictures', 'uploads/d/0')).toHaveLength(700 * KiB);
  });

  test('training states go with the end of their run; of one that failed they are kept for a week', async () => {
    const week = { seconds: Math.floor(Date.now() / 1000) - 8 * 86_400, nanos: 0 };
    await addRun('done', RunState.RUN_STATE_FINISHED);
    await addRun('works', RunState.RUN_STATE_TRAINING);
    await addRun('failed', RunState.RUN_STATE_FAILED);
    await addRun('failed-long-ago', RunState.RUN_STATE_FAILED, { finishedAt: week });
    for (const run of ['done', 'works', 'failed', 'failed-long-ago', 'deleted'])
      await put('checkpoints', `${run}.1.50`);
    expect(kindsOf(await sweep({ graceMs: DAY }))).toEqual({ 'training states': [2, 2 * KiB] });
    expect(await names('checkpoints')).toEqual(['deleted.1.50', 'failed.1.50', 'works.1.50']);
    await sweep();
    expect(await names('checkpoints')).toEqual(['failed.1.50', 'works.1.50']);
  });

  test('pictures of what is not there go; by setting old validation pictures, and the oldest drawings', async () => {
    const long = { seconds: Math.floor(Date.now() / 1000) - 10 * 86_400, nanos: 0 };
    const sampleImages = ['r/0.png'];
    await addRun('r', RunState.RUN_STATE_FINISHED, { sampleImages, finishedAt: long });
    const draw = async (id: string, state = GenerationState.GENERATION_STATE_FINISHED): Promise<void> => {
      await generations.create(id, Generation.create({ id, state, images: [`${id}/0.png`] }));
      await put('samples', `${id}/0.png`);
    };
    for (const id of ['gen-1', 'gen-2', 'gen-3']) await draw(id);
    await draw('gen-0', GenerationState.GENERATION_STATE_RUNNING);
    await put('samples', 'r/0.png');
    await put('samples', 'gen-gone/0.png');
    expect(kindsOf(await sweep())).toEqual({ drawings: [1, KiB] });
    expect(await names('samples')).toEqual(['gen-0/0.png', 'gen-1/0.png', 'gen-2/0.png', 'gen-3/0.png', 'r/0.png']);
    expect(kindsOf(await sweep({ previewsKeptMs: 7 * DAY, drawingsLimit: 2 * KiB }))).toEqual({
      'validation pictures': [1, KiB],
      drawings: [2, 2 * KiB],
    });
    expect(await names('samples')).toEqual(['gen-0/0.png', 'gen-3/0.png']);
    expect((await generations.list()).map(({ id }) => id).sort()).toEqual(['gen-0', 'gen-3']);
    expect((await runs.get('r'))?.value.sampleImages).toEqual([]);
  });

  test("adapters' files that no entry names go", async () => {
    await put('adapters', 'named');
    await put('adapters', 'nobodys');
    const adapters = new StateStore(test_.mesh, 'adapters', AdapterInfo);
    await adapters.create('ink', AdapterInfo.create({ name: 'ink', blob: 'named' }));
    expect(kindsOf(await sweep())).toEqual({ adapters: [1, KiB] });
    expect(await names(buckets.blobs.adapters)).toEqual(['named']);
  });
});
