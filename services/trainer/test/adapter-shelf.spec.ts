import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseTensorFile } from '@atelier/checkpoint';
import { Run } from '@atelier/contracts';
import { Adapter } from '@atelier/engine';
import { AdapterStore, BlobStore } from '@atelier/store';
import { repositoryRoot, startTestMesh, type TestMesh } from '@atelier/testing';
import { AdapterShelf } from '../src/adapter-shelf';

const golden = (): Buffer =>
  readFileSync(
    join(repositoryRoot, 'native', 'test', 'goldens', 'tiny-dev', 'lora_a', 'pytorch_lora_weights.safetensors'),
  );
const origin = { baseFingerprint: 'fingerprint', guidance: true, datasetDigest: 'digest' };
const run = (id: string, name = 'ink'): Run => Run.create({ id, name, options: { rank: 4, alpha: 8 } });

describe('the shelf of trained adapters', () => {
  let test: TestMesh;
  let shelf: AdapterShelf;
  let store: AdapterStore;
  let trained: Adapter;

  beforeEach(async () => {
    test = await startTestMesh();
    shelf = new AdapterShelf(test.mesh);
    store = new AdapterStore(test.mesh);
    trained = await Adapter.fromBytes(golden());
  });
  afterEach(async () => {
    await trained.dispose();
    await test.stop();
  });

  const files = async () => (await new BlobStore(test.mesh).list('adapters')).map(({ name }) => name);

  it('has the adapter with what it was trained on, and twice is once', async () => {
    await shelf.publish(run('run-1'), trained, origin);
    const found = await store.find('ink');
    expect(found.value).toMatchObject({
      name: 'ink',
      runId: 'run-1',
      rank: 4,
      alpha: 8,
      baseFingerprint: 'fingerprint',
    });
    const bytes = await store.read(found);
    expect(found.value.size).toBe(bytes.byteLength);
    const { tensors, metadata } = parseTensorFile(bytes);
    expect(metadata).toMatchObject({
      base_fingerprint: 'fingerprint',
      dataset_digest: 'digest',
      format: 'pt',
      'modelspec.architecture': 'flux-1-dev/lora',
      ss_network_dim: '4',
    });
    expect(found.value.contents).toMatchObject({ base: 'flux-1-dev/lora', ranks: [{ rank: 4, alpha: 4 }], notes: [] });
    expect([...tensors.keys()].sort()).toEqual([...parseTensorFile(golden()).tensors.keys()].sort());
    await Promise.all([1, 2, 3].map(() => shelf.publish(run('run-1'), trained, origin)));
    expect(await store.find('ink')).toEqual(found);
    expect(await files()).toEqual([found.value.blob]);
  });

  it('beside imports under the name: it always stands for one whole file', async () => {
    const foreign = Buffer.alloc(300_000, 7);
    const impatient = new AdapterStore(test.mesh, { keepReplacedMs: 0 });
    for (let round = 0; round < 15; round++) {
      await Promise.all([
        shelf.publish(run(`run-${round}`), trained, origin),
        impatient.put({ name: 'ink', rank: 7, alpha: 7 }, foreign, { replace: true }),
        shelf.publish(run(`run-${round}`), trained, origin),
      ]);
      const found = await store.find('ink');
      const bytes = Buffer.from(await store.read(found));
      expect(bytes.byteLength).toBe(found.value.size);
      expect(bytes.equals(foreign)).toBe(found.value.rank === 7);
    }
    await impatient.clearReplaced();
    expect(await files()).toEqual([(await store.find('ink')).value.blob]);
  });
});
