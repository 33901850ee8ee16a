import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseTensorFile, type StoredTensor } from '@atelier/checkpoint';
import { Engine, type Transformer } from '@atelier/engine';
import { AdapterStore } from '@atelier/store';
import { startTestMesh, tinyCheckpoint, type TestMesh } from '@atelier/testing';
import { AdapterLibrary } from '../src/adapter-library';
import { changedAdapter, goldenAdapter } from './harness';

describe('the library of adapters', () => {
  let test: TestMesh;
  let engine: Engine;
  let transformer: Transformer;
  let cacheDir: string;

  beforeAll(async () => {
    cacheDir = mkdtempSync(join(tmpdir(), 'adapter-library-'));
    test = await startTestMesh();
    engine = await Engine.open({ device: 'cpu', threads: 1 });
    transformer = await engine.loadTransformer(join(tinyCheckpoint(), 'transformer'), { quant: 'none', cacheDir });
  });
  afterAll(async () => {
    await engine?.close();
    await test?.stop();
    rmSync(cacheDir, { recursive: true, force: true });
  });

  const negated = () => changedAdapter((data, shape) => ({ shape, data: data.map((value) => -value) }));
  const put = (bytes: Uint8Array, keepReplacedMs?: number) =>
    new AdapterStore(test.mesh, { keepReplacedMs }).put({ name: 'style', rank: 4, alpha: 8 }, bytes, { replace: true });
  /** The first value of the tensor that changedAdapter changes. */
  const sign = async (load: ReturnType<AdapterLibrary['load']>): Promise<number> => {
    const adapter = await load;
    const { tensors } = parseTensorFile(await adapter.toBytes('diffusers'));
    await adapter.dispose();
    const first = ({ bytes }: StoredTensor) => new DataView(new Uint8Array(bytes).buffer).getFloat32(0, true);
    return [...tensors].reduce((sum, [name, tensor]) => (name.includes('lora_A') ? sum + first(tensor) : sum), 0);
  };

  it('loads the file that was found, though another took its place since; one found later is the other', async () => {
    const library = new AdapterLibrary(test.mesh);
    await put(goldenAdapter());
    const before = await library.find({ name: 'style', weight: 0.5 });
    expect(before).toMatchObject({ name: 'style', weight: 0.5 });
    const first = await sign(library.load(before, transformer));
    await put(negated());
    const after = await library.find({ name: 'style', weight: 0.5 });
    expect(after.key).not.toBe(before.key);
    expect(await sign(library.load(before, transformer))).toBe(first);
    const second = await sign(library.load(after, transformer));
    expect(second).not.toBe(first);

    await put(negated(), 0); // and the files before it go
    expect(await sign(library.load(before, transformer))).toBe(second);
  });

  it('says which adapter it is that cannot be used', async () => {
    const library = new AdapterLibrary(test.mesh);
    await put(Buffer.from('no safetensors file at all'));
    const found = await library.find({ name: 'style' });
    await expect(library.load(found, transformer)).rejects.toMatchObject({
      message: expect.stringMatching(/^adapter style cannot be used: its file: .*Bring in a sound one/),
    });
    await expect(library.find({ name: '../style' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(library.find({})).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});
