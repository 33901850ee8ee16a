import {
  AdapterInfo,
  buckets,
  Dataset,
  DatasetState,
  EncodingRefusal,
  Generation,
  GenerationState,
  Run,
  RunState,
  type BlobBucket,
} from '@atelier/contracts';
import { BlobStore, StateStore } from '@atelier/store';
import { startTestMesh, type TestMesh } from '@atelier/testing';
import { Deletion, EncodedRuns, Runs } from '../src';

const { INGESTED, UPLOADED } = {
  INGESTED: DatasetState.DATASET_STATE_INGESTED,
  UPLOADED: DatasetState.DATASET_STATE_UPLOADED,
};
const { pictures, samples, checkpoints, adapters: adapterFiles } = buckets.blobs;

let test_: TestMesh;
let deletion: Deletion;
let blobs: BlobStore;
let datasets: StateStore<Dataset>;
let runs: StateStore<Run>;
let generations: StateStore<Generation>;
let adapters: StateStore<AdapterInfo>;

beforeAll(async () => {
  test_ = await startTestMesh();
  deletion = new Deletion(test_.mesh);
  blobs = new BlobStore(test_.mesh);
  datasets = new StateStore(test_.mesh, 'datasets', Dataset);
  runs = new StateStore(test_.mesh, 'runs', Run);
  generations = new StateStore(test_.mesh, 'generations', Generation);
  adapters = new StateStore(test_.mesh, 'adapters', AdapterInfo);
});
afterAll(() => test_.stop());

const put = async (bucket: BlobBucket, ...names: string[]): Promise<void> => {
  for (const name of names) await blobs.put(bucket, name, Buffer.from(name));
};
const names = async (bucket: BlobBucket): Promise<string[]> => (await blobs.names(bucket)).sort();

async function addDataset(id: string, state = INGESTED): Promise<void> {
  const files = [0, 1].map((i) => ({ name: `${i}.png`, blob: `uploads/${id}/${i}`, size: 1 }));
  await put(pictures, ...files.map(({ blob }) => blob));
  await datasets.create(id, Dataset.create({ id, name: `the ${id}`, state, files }));
}

describe('a data set', () => {
  test('goes with its files and no other; once more is nothing', async () => {
    await addDataset('d1');
    await addDataset('d2');
    expect(await deletion.dataset('d1')).toMatchObject({ id: 'd1' });
    expect(await datasets.get('d1')).toBeNull();
    expect(await names(pictures)).toEqual(['uploads/d2/0', 'uploads/d2/1']);
    expect(await deletion.dataset('d1')).toBeNull();
  });

  test('stays while a run that is not over uses it, and it is said which and what to do', async () => {
    await addDataset('d4');
    const { RUN_STATE_QUEUED, RUN_STATE_ENCODING, RUN_STATE_TRAINING, RUN_STATE_PAUSED } = RunState;
    for (const state of [RUN_STATE_QUEUED, RUN_STATE_ENCODING, RUN_STATE_TRAINING, RUN_STATE_PAUSED]) {
      await runs.put('u', () => Run.create({ id: 'u', datasetId: 'd4', state }));
      await expect(deletion.dataset('d4')).rejects.toMatchObject({
        code: 'FAILED_PRECONDITION',
        message: expect.stringMatching(
          /^run u \((queued|encoding|training|paused)\) uses data set the d4: .*runs cancel u"/,
        ),
        details: { run: 'u' },
      });
    }
    expect(await names(pictures)).toEqual(expect.arrayContaining(['uploads/d4/0', 'uploads/d4/1']));
    await runs.put('u', () => Run.create({ id: 'u', datasetId: 'd4', state: RunState.RUN_STATE_CANCELLED }));
    expect(await deletion.dataset('d4')).toMatchObject({ id: 'd4' });
  });

  test('takes with it what was noted of its encodings, and nothing of another', async () => {
    await addDataset('d6');
    const encoded = new EncodedRuns(test_.mesh, new Runs(test_.mesh));
    for (const datasetId of ['d6', 'd60'])
      await encoded.refused({ datasetId, kind: 'latents', key: 'k', sequence: 1 }, 'a black picture');
    await encoded.add('d6', { runId: 'r', turn: 1, manifest: 'm' });
    await deletion.dataset('d6');
    expect(await new StateStore(test_.mesh, 'refusals', EncodingRefusal).keys()).toEqual(['d60.latents.k']);
    expect(await encoded.datasets()).toEqual([]);
  });

  test('that is still to be read goes as well', async () => {
    await addDataset('d3', UPLOADED);
    expect(await deletion.dataset('d3')).toMatchObject({ id: 'd3' });
    expect(await names(pictures)).not.toContain('uploads/d3/0');
  });

  test('that a run is queued on while it goes: the run is there and gets no wrong data set', async () => {
    await addDataset('d5');
    const store = new Runs(test_.mesh);
    const [gone] = await Promise.allSettled([
      deletion.dataset('d5'),
      store.queue(Run.create({ id: 'r5', datasetId: 'd5', state: RunState.RUN_STATE_QUEUED })),
    ]);
    const isThere = (await datasets.get('d5')) !== null;
    expect(isThere).toBe(gone.status === 'rejected');
    expect(await names(pictures)).toEqual(expect.arrayContaining(isThere ? ['uploads/d5/0', 'uploads/d5/1'] : []));
    expect(await store.get('r5')).toMatchObject({ state: RunState.RUN_STATE_QUEUED });
  });
});

describe('a run', () => {
  test('that is over goes with its states and validation pictures, and its adapter stays', async () => {
    await put(checkpoints, 'r1', 'r1.2.50', 'r11.1.50');
    await put(samples, 'r1/step-1-0.png', 'r11/step-1-0.png');
    await put(adapterFiles, 'file');
    await adapters.create('ink', AdapterInfo.create({ name: 'ink', runId: 'r1', blob: 'file' }));
    const state = RunState.RUN_STATE_FINISHED;
    await runs.create('r1', Run.create({ id: 'r1', state, adapter: 'ink', sampleImages: ['r1/step-1-0.png'] }));
    expect(await deletion.run('r1')).toMatchObject({ id: 'r1' });
    expect([await names(checkpoints), await names(samples)]).toEqual([['r11.1.50'], ['r11/step-1-0.png']]);
    expect(await adapters.get('ink')).not.toBeNull();
    expect(await names(adapterFiles)).toEqual(['file']);
    expect(await deletion.run('r1')).toBeNull();
  });

  test('that goes on stays', async () => {
    await runs.create('r2', Run.create({ id: 'r2', state: RunState.RUN_STATE_TRAINING }));
    await expect(deletion.run('r2')).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: 'run r2 is training: cancel it first ("atelier runs cancel r2"), or wait for its end',
    });
    expect(await runs.get('r2')).not.toBeNull();
  });
});

describe('a drawing, an adapter and a picture', () => {
  const draw = (id: string, state: GenerationState, images: string[] = [], adapter = ''): Promise<Generation> =>
    generations.put(id, () => Generation.create({ id, state, images, work: { adapters: [{ name: adapter }] } }));

  test('an adapter stays while a drawing that is not over uses it', async () => {
    await put(adapterFiles, 'pen-file');
    await adapters.create('pen', AdapterInfo.create({ name: 'pen', blob: 'pen-file' }));
    await draw('g1', GenerationState.GENERATION_STATE_RUNNING, [], 'pen');
    await expect(deletion.adapter('pen')).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: 'drawing g1 (running) uses adapter pen: wait for its end, or cancel it',
    });
    await draw('g1', GenerationState.GENERATION_STATE_FINISHED, [], 'pen');
    expect(await deletion.adapter('pen')).toMatchObject({ name: 'pen' });
    expect(await names(adapterFiles)).not.toContain('pen-file');
  });

  test('a picture leaves the list of what names it, then its bytes; the others stay', async () => {
    await put(samples, 'g2/0.png', 'g2/1.png');
    await draw('g2', GenerationState.GENERATION_STATE_RUNNING, ['g2/0.png']);
    await expect(deletion.picture('g2/0.png')).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    await draw('g2', GenerationState.GENERATION_STATE_FINISHED, ['g2/0.png', 'g2/1.png']);
    expect(await deletion.picture('g2/0.png')).toBe(true);
    expect((await generations.get('g2'))?.value.images).toEqual(['g2/1.png']);
    expect(await names(samples)).not.toContain('g2/0.png');
    expect(await deletion.picture('g2/0.png')).toBe(false);
    expect(await deletion.picture('nobody/0.png')).toBe(false);
  });

  test('a drawing that is over goes with its pictures, one that is not stays', async () => {
    expect(await deletion.generation('g2')).toMatchObject({ id: 'g2' });
    expect(await names(samples)).not.toContain('g2/1.png');
    await draw('g3', GenerationState.GENERATION_STATE_QUEUED);
    await expect(deletion.generation('g3')).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining('drawing g3 is queued: wait for its end, or cancel it first'),
    });
    expect(await deletion.generation('g4')).toBeNull();
  });
});
