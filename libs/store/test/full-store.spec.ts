import { Run, streams } from '@atelier/contracts';
import { isStoreFull } from '@atelier/mesh';
import { BlobStore, StateStore, TensorStore } from '@atelier/store';
import { startTestMesh, type TestMesh } from '@atelier/testing';

const MiB = 1024 ** 2;

describe('a store at its limit', () => {
  let test_: TestMesh;
  let blobs: BlobStore;
  let runs: StateStore<Run>;
  beforeAll(async () => {
    test_ = await startTestMesh({ maxFileStore: 16 * MiB });
    blobs = new BlobStore(test_.mesh);
    runs = new StateStore<Run>(test_.mesh, 'runs', Run);
    await blobs.put('pictures', 'a/b c.png', Buffer.alloc(MiB, 7));
    await runs.create('r1', Run.create({ id: 'r1' }));
    const tensors = new TensorStore(test_.mesh);
    for (let i = 0; i < 16; i++) await tensors.put('latents', `${i}`, Buffer.alloc(MiB)).catch(() => undefined);
  });
  afterAll(() => test_.stop());

  test('every kind of write is refused as StoreFull', async () => {
    const writes = [
      new TensorStore(test_.mesh).put('latents', 'more', Buffer.alloc(10)),
      blobs.put('pictures', 'more', Buffer.alloc(10)),
      runs.create('r2', Run.create({ id: 'r2' })),
      runs.update('r1', (run) => ({ ...run, step: 1 }) as Run),
    ];
    for (const write of await Promise.allSettled(writes))
      expect(write.status === 'rejected' && isStoreFull(write.reason)).toBe(true);
  });

  test('what is in it is read', async () => {
    expect((await blobs.get('pictures', 'a/b c.png')).length).toBe(MiB);
    expect((await runs.list()).map(({ id }) => id)).toEqual(['r1']);
  });

  test('is deleted from though there is no room to note it, and then takes more', async () => {
    await blobs.delete('pictures', 'a/b c.png');
    expect(await blobs.has('pictures', 'a/b c.png')).toBe(false);
    expect((await test_.mesh.jsm.streams.info('OBJ_pictures')).state.messages).toBe(0);
    await runs.delete('r1');
    expect(await runs.get('r1')).toBeNull();
    await test_.mesh.jsm.streams.purge(streams.TENSORS);
    await blobs.put('pictures', 'a/b c.png', Buffer.alloc(10));
    await runs.create('r1', Run.create({ id: 'r1' }));
  });
});
