import { Dataset } from '@atelier/contracts';
import { StateStore, TensorStore } from '@atelier/store';
import { startTestMesh, type TestMesh } from '@atelier/testing';

const MiB = 1024 ** 2;
const open = ({ mesh }: TestMesh): StateStore<Dataset> => new StateStore(mesh, 'datasets', Dataset);
const messages = async ({ mesh }: TestMesh): Promise<number> =>
  (await mesh.jsm.streams.info('KV_datasets')).state.messages;
const anything = (): void => undefined;

describe('a state that is taken away', () => {
  let test_: TestMesh;
  let store: StateStore<Dataset>;
  beforeAll(async () => {
    test_ = await startTestMesh();
    store = open(test_);
  });
  afterAll(() => test_.stop());

  test('is gone with its marker, and can be there again; taking what is not there is nothing', async () => {
    const before = await messages(test_);
    for (const name of ['one', 'two']) {
      await store.create('d', Dataset.create({ id: 'd', name }));
      expect(await store.take('d', anything)).toMatchObject({ name });
      expect(await store.get('d')).toBeNull();
      expect(await messages(test_)).toBe(before);
    }
    expect(await store.take('d', anything)).toBeNull();
  });

  test('stays where it is refused', async () => {
    await store.create('e', Dataset.create({ id: 'e' }));
    const refuse = (): void => {
      throw new Error('no');
    };
    await expect(store.take('e', refuse)).rejects.toThrow('no');
    expect(await store.get('e')).toMatchObject({ value: { id: 'e' } });
  });

  test('is looked at again where it was written in between', async () => {
    await store.create('f', Dataset.create({ id: 'f', name: 'before' }));
    const seen: string[] = [];
    const gone = await store.take('f', async ({ name }) => {
      seen.push(name);
      if (seen.length === 1) await store.update('f', (now) => Dataset.create({ ...now, name: 'after' }));
    });
    expect(seen).toEqual(['before', 'after']);
    expect(gone).toMatchObject({ name: 'after' });
    expect(await store.get('f')).toBeNull();
  });
});

test('in a store that takes no more, a state is taken away as well, and looked at again as well', async () => {
  const full = await startTestMesh({ maxFileStore: 16 * MiB });
  try {
    const store = open(full);
    const tensors = new TensorStore(full.mesh);
    for (const id of ['a', 'b']) await store.create(id, Dataset.create({ id, name: 'x'.repeat(1000) }));
    const fill = async (): Promise<void> => {
      for (let i = 0; ; i++) await tensors.put('latents', `${i}`, Buffer.alloc(MiB, i));
    };
    await expect(fill()).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    for (let size = MiB / 2; size > 16; size /= 2)
      await tensors.put('prompts', `${size}`, Buffer.alloc(size)).catch(() => undefined);
    await expect(store.update('b', (now) => Dataset.create({ ...now, error: 'y'.repeat(2000) }))).rejects.toMatchObject(
      {
        code: 'RESOURCE_EXHAUSTED',
      },
    );
    expect(await store.take('a', anything)).toMatchObject({ id: 'a' });
    expect((await store.list()).map(({ id }) => id)).toEqual(['b']);
  } finally {
    await full.stop();
  }
});
