import { buckets, Manifest, Run, RunState, streams, subjects, type TensorKind } from '@atelier/contracts';
import { BlobStore, StateStore, TensorStore } from '@atelier/store';
import { startTestMesh, type TestMesh } from '@atelier/testing';
import { EncodedRuns, Runs, TrainersQueue } from '../src';

let test_: TestMesh;
let tensors: TensorStore;
let runs: Runs;
let ids = 0;

beforeAll(async () => {
  test_ = await startTestMesh();
  tensors = new TensorStore(test_.mesh);
  runs = new Runs(test_.mesh);
});
afterAll(() => test_.stop());
afterEach(() => test_.mesh.jsm.streams.purge(streams.WORK));

/** Of a service of its own: what one remembers, another does not know. */
const service = (): EncodedRuns => new EncodedRuns(test_.mesh, runs);

/** A run that waits for the encodings of a data set of so many samples; both have the same id. */
async function waiting(samples: number, options: Run['options'] = {}, promptsKeys: string[] = []): Promise<string> {
  const id = `d${ids++}`;
  const all = Array.from({ length: samples }, (_, at) => ({
    name: `${at}.png`,
    latentsKey: `${id}l${at}`,
    promptsKey: `${id}p${at}`,
  }));
  const blobs = new BlobStore(test_.mesh);
  await blobs.put(buckets.blobs.manifests, id, Manifest.encode({ datasetId: id, samples: all }).finish());
  await new StateStore(test_.mesh, 'runs', Run).create(
    id,
    Run.create({ id, name: id, datasetId: id, state: RunState.RUN_STATE_QUEUED, options }),
  );
  await runs.startEncoding(id, id, {}, promptsKeys);
  await service().add(id, { runId: id, turn: 1, manifest: id });
  return id;
}

const make = (kind: TensorKind, key: string) => tensors.put(kind, key, Buffer.from(key));
async function makeAll(id: string, ...samples: number[]): Promise<void> {
  for (const at of samples)
    for (const kind of ['latents', 'prompts'] as const) await make(kind, `${id}${kind[0]}${at}`);
}
const rung = async (): Promise<number> => {
  const filter = { subjects_filter: subjects.work.train };
  return (await test_.mesh.jsm.streams.info(streams.WORK, filter)).state.subjects?.[subjects.work.train] ?? 0;
};
const stateOf = async (id: string): Promise<RunState> => (await runs.get(id)).state;
const { RUN_STATE_ENCODING, RUN_STATE_QUEUED, RUN_STATE_FAILED } = RunState;

describe('a run that waits for its encodings', () => {
  it('is queued for a trainer by who finishes the last of them, and by nobody before', async () => {
    const id = await waiting(3);
    const encoders = [service(), service()];
    for (const at of [2, 0]) {
      await makeAll(id, at);
      for (const encoder of encoders)
        expect(await encoder.look(id)).toEqual([{ runId: id, kinds: ['latents', 'prompts'] }]);
    }
    await make('prompts', `${id}p1`);
    expect(await encoders[0]!.look(id)).toEqual([{ runId: id, kinds: ['latents'] }]);
    expect([await stateOf(id), await rung()]).toEqual([RUN_STATE_ENCODING, 0]);
    await make('latents', `${id}l1`);
    expect(await encoders[1]!.look(id)).toEqual([]);
    expect([await stateOf(id), await rung()]).toEqual([RUN_STATE_QUEUED, 1]);
    expect(await service().datasets()).not.toContain(id);
  });

  it('is queued at once where all is there already', async () => {
    const id = await waiting(0);
    await service().look(id);
    expect([await stateOf(id), await rung()]).toEqual([RUN_STATE_QUEUED, 1]);
  });

  it('waits for its validation prompts too, and trains without those that cannot be encoded', async () => {
    const id = await waiting(1, {}, ['prompt-a', 'prompt-b']);
    const encoder = service();
    await makeAll(id, 0);
    await make('prompts', 'prompt-a');
    expect(await encoder.look(id)).toEqual([{ runId: id, kinds: ['prompts'] }]);
    await encoder.refused({ datasetId: id, kind: 'prompts', key: 'prompt-b', sequence: 1 }, 'it is too long');
    expect(await runs.get(id)).toMatchObject({ state: RUN_STATE_QUEUED, leftOut: [] });
  });

  it('is one message however many finish at once, and never none', async () => {
    for (let round = 0; round < 15; round++) {
      const id = await waiting(2);
      await makeAll(id, 0);
      const finish = async (kind: TensorKind): Promise<void> => {
        await make(kind, `${id}${kind[0]}1`);
        await service().look(id);
      };
      await Promise.all([finish('latents'), finish('prompts')]);
      expect([await stateOf(id), await rung()]).toEqual([RUN_STATE_QUEUED, round + 1]);
    }
  });

  it('is noted while its last encoding is made: never missed by both', async () => {
    for (let round = 0; round < 15; round++) {
      const id = await waiting(1);
      const ingest = service();
      const noted = async (): Promise<void> => {
        await ingest.add(id, { runId: id, turn: 1, manifest: id });
        await ingest.look(id);
      };
      const made = async (): Promise<void> => {
        await makeAll(id, 0);
        await service().look(id);
      };
      await Promise.all([noted(), made()]);
      expect([await stateOf(id), await rung()]).toEqual([RUN_STATE_QUEUED, round + 1]);
    }
  });

  it('is on the queue though its last encoder died after the state was written, once its message comes again', async () => {
    const id = await waiting(1);
    await makeAll(id, 0);
    await new StateStore(test_.mesh, 'runs', Run).update(id, (run) =>
      Object.assign(run, { state: RUN_STATE_QUEUED, encoded: true }),
    );
    expect(await rung()).toBe(0);
    for (let deliveries = 0; deliveries < 3; deliveries++) await service().look(id);
    expect(await rung()).toBe(1);
  });

  it('has its message though a trainer has taken it by another’s before it was sent: the other run waits for one', async () => {
    const [first, second] = [await waiting(0), await waiting(0)];
    await service().look(second);
    await new StateStore(test_.mesh, 'runs', Run).update(first, (run) =>
      Object.assign(run, { state: RunState.RUN_STATE_TRAINING, encoded: true, inHand: true }),
    );
    await service().look(first); // whoever wrote its state died, and is followed by this one
    expect(await rung()).toBe(2);
  });

  it('is not put back by who comes late with an older turn of it', async () => {
    const id = await waiting(0);
    await service().look(id);
    await new StateStore(test_.mesh, 'runs', Run).update(id, (run) => Object.assign(run, { priority: 9 }));
    const held = (await new TrainersQueue(test_.mesh).takeNext({ attempt: 1, sequence: 1000 + ids, runId: id }))!;
    expect(held.id).toBe(id);
    await held.encodeAgain();
    const { turns } = await runs.get(id);
    await runs.encoded(id, turns - 1, []);
    expect(await runs.get(id)).toMatchObject({ state: RUN_STATE_ENCODING, encoded: false });
    await runs.cancel(id);
  });
});

describe('an encoding that is refused', () => {
  const refuse = (id: string, at: number, sequence = 1) =>
    service().refused({ datasetId: id, kind: 'latents', key: `${id}l${at}`, sequence }, 'it is cut short');

  it('costs the run its sample, by number', async () => {
    const id = await waiting(3);
    await makeAll(id, 0, 2);
    await make('prompts', `${id}p1`);
    await refuse(id, 1);
    expect(await runs.get(id)).toMatchObject({ state: RUN_STATE_QUEUED, leftOut: [1], skipped: 1 });
    expect(await rung()).toBe(1);
  });

  it('counts though it was refused before the run was noted', async () => {
    const id = await waiting(2);
    await refuse(id, 1);
    await makeAll(id, 0);
    await make('prompts', `${id}p1`);
    await service().asked({ datasetId: id, kind: 'latents', key: `${id}l1`, sequence: 1 }); // it stands on the queue still
    await service().look(id);
    expect(await runs.get(id)).toMatchObject({ state: RUN_STATE_QUEUED, leftOut: [1] });
  });

  it('counts no more once it was asked for again, nor does what comes late of the time before', async () => {
    const id = await waiting(2);
    await refuse(id, 1, 5);
    await service().asked({ datasetId: id, kind: 'latents', key: `${id}l1`, sequence: 9 });
    await refuse(id, 1, 5); // its service had died before the message was off the queue
    await makeAll(id, 0);
    await make('prompts', `${id}p1`);
    expect(await service().look(id)).toEqual([{ runId: id, kinds: ['latents'] }]);
    await make('latents', `${id}l1`);
    await service().look(id);
    expect(await runs.get(id)).toMatchObject({ state: RUN_STATE_QUEUED, leftOut: [] });
  });

  it('fails the run, by name, where the options say so', async () => {
    const id = await waiting(2, { onBadSample: 'fail' });
    await makeAll(id, 0);
    await make('prompts', `${id}p1`);
    await refuse(id, 1);
    const run = await runs.get(id);
    expect(run.state).toBe(RUN_STATE_FAILED);
    expect(run.error).toMatch(/picture 1\.png: it is cut short.*on_bad_sample/);
    expect(await rung()).toBe(0);
  });

  it('fails the run when there is no other', async () => {
    const id = await waiting(1);
    await make('prompts', `${id}p0`);
    await refuse(id, 0);
    expect((await runs.get(id)).error).toMatch(/none of the 1 samples.*it is cut short/);
  });
});

it('a run whose manifest was deleted fails, and costs its encoders nothing', async () => {
  const id = await waiting(1);
  await new BlobStore(test_.mesh).delete(buckets.blobs.manifests, id);
  expect(await service().look(id)).toEqual([]);
  expect(await runs.get(id)).toMatchObject({ state: RUN_STATE_FAILED, error: expect.stringContaining(id) });
  expect(await service().datasets()).not.toContain(id);
});

it('a run that nobody knows any more is forgotten', async () => {
  const id = await waiting(0);
  await new StateStore(test_.mesh, 'runs', Run).delete(id);
  expect(await service().look(id)).toEqual([]);
  expect(await service().datasets()).not.toContain(id);
});

describe('a data set that is deleted', () => {
  it('fails a run that began on it in that moment, rather than let it wait for ever', async () => {
    const id = await waiting(1);
    await service().forgetDataset(id);
    expect(await runs.get(id)).toMatchObject({ state: RUN_STATE_FAILED, error: expect.stringMatching(/was deleted/) });
    expect(await service().datasets()).not.toContain(id);
  });

  it('is no fault of the encoder that looks while it goes', async () => {
    const id = await waiting(1);
    const encoder = service();
    await encoder.look(id);
    await makeAll(id, 0);
    const encoded = jest.spyOn(runs, 'encoded').mockImplementationOnce(() => service().forgetDataset(id));
    await expect(encoder.look(id)).resolves.toEqual([]);
    encoded.mockRestore();
  });
});
