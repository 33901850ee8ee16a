import {
  AdapterInfo,
  buckets,
  Generation,
  GenerationState,
  Run,
  RunState,
  streams,
  timestamp,
} from '@atelier/contracts';
import { isStoreFull } from '@atelier/mesh';
import { BlobStore, StateStore, TensorStore } from '@atelier/store';
import { startTestMesh, type TestMesh } from '@atelier/testing';
import { Deletion, Sweep, SweepTurn } from '../src';

const MiB = 1024 ** 2;
const HOUR = 3_600_000;
const { samples, adapters } = buckets.blobs;

describe('a store that is full to the last byte', () => {
  let test_: TestMesh;
  let blobs: BlobStore;
  let runs: StateStore<Run>;
  let generations: StateStore<Generation>;
  let entries: StateStore<AdapterInfo>;

  beforeEach(async () => {
    test_ = await startTestMesh({ maxFileStore: 16 * MiB });
    blobs = new BlobStore(test_.mesh);
    runs = new StateStore(test_.mesh, buckets.state.runs, Run);
    generations = new StateStore(test_.mesh, buckets.state.generations, Generation);
    entries = new StateStore(test_.mesh, buckets.state.adapters, AdapterInfo);
    for (const name of ['r/0.png', 'g/0.png']) await blobs.put(samples, name, Buffer.from(name));
    const [run, drawing] = [RunState.RUN_STATE_FINISHED, GenerationState.GENERATION_STATE_FINISHED];
    await runs.create('r', Run.create({ id: 'r', state: run, sampleImages: ['r/0.png'], finishedAt: timestamp() }));
    await generations.create('g', Generation.create({ id: 'g', state: drawing, images: ['g/0.png'] }));
    for (const file of ['new', 'old']) await blobs.put(adapters, file, Buffer.from(file));
    const replaced = [{ blob: 'old', replacedAt: timestamp(new Date(Date.now() - 2 * HOUR)) }];
    await entries.create('ink', AdapterInfo.create({ name: 'ink', blob: 'new', replaced }));
    await fill();
  });
  afterEach(() => test_.stop());

  async function fill(): Promise<void> {
    const tensors = new TensorStore(test_.mesh);
    for (let size = 4 * MiB; size >= 1;) {
      const taken = await tensors.put('latents', `${performance.now()}`, Buffer.alloc(size)).then(
        () => true,
        () => false,
      );
      if (!taken) size = Math.floor(size / 2);
    }
    const [refused] = await Promise.allSettled([entries.update('ink', (entry) => entry)]);
    expect(refused.status === 'rejected' && isStoreFull(refused.reason)).toBe(true);
  }

  test('loses pictures though their names stay on the lists, and when there is room loses those', async () => {
    const deletion = new Deletion(test_.mesh);
    for (const name of ['r/0.png', 'g/0.png']) {
      expect(await deletion.picture(name)).toBe(true);
      expect(await blobs.has(samples, name)).toBe(false);
      await fill();
    }
    expect((await generations.get('g'))?.value.images).toEqual(['g/0.png']);
    expect((await runs.get('r'))?.value.sampleImages).toEqual(['r/0.png']);
    await test_.mesh.jsm.streams.purge(streams.TENSORS);
    for (const name of ['r/0.png', 'g/0.png']) expect(await deletion.picture(name)).toBe(false);
    expect((await generations.get('g'))?.value.images).toEqual([]);
    expect((await runs.get('r'))?.value.sampleImages).toEqual([]);
  });

  test('is swept to the end by who finds no room to note it, and it is noted once there is', async () => {
    const [first, second] = [new SweepTurn(test_.mesh), new SweepTurn(test_.mesh)];
    expect([await first.take(HOUR), await second.take(HOUR)]).toEqual([true, true]);
    for (const turn of [first, second]) await turn.goesOn();
    const cleared = await new Sweep(test_.mesh, { graceMs: 0, promptsKeptMs: 0, previewsKeptMs: 0 }).run();
    expect(cleared.map(({ kind }) => kind)).toEqual(['validation pictures', 'latents']);
    expect(await blobs.names(adapters)).toEqual(['new']);
    await test_.mesh.jsm.streams.purge(streams.TENSORS); // before nats-server 2.9.15 a part is still counted

    await first.goesOn();
    await second.end([]); // leaves the first's note, which is under way
    expect(await first.last()).toMatchObject({ finishedAt: null });
    await first.end(cleared);
    expect(await first.last()).toMatchObject({ finishedAt: expect.anything(), cleared });
    expect(await new SweepTurn(test_.mesh).take(HOUR)).toBe(false);
  });

  test('its sweep is noted at its end where there was no room before', async () => {
    const turn = new SweepTurn(test_.mesh);
    expect(await turn.take(HOUR)).toBe(true);
    await turn.end([]);
    expect(await turn.last()).toBeUndefined();
    await test_.mesh.jsm.streams.purge(streams.TENSORS);
    await turn.end([]);
    expect(await turn.last()).toMatchObject({ finishedAt: expect.anything() });
  });
});
