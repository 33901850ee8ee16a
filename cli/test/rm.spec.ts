import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeTensors } from '@atelier/checkpoint';
import { Dataset, DatasetState, Run, RunState } from '@atelier/contracts';
import { StateStore, TensorStore } from '@atelier/store';
import { startTestMesh, type TestMesh } from '@atelier/testing';
import { inProcess, type Ended } from './run-cli';

describe('atelier rm, and renaming', () => {
  let mesh: TestMesh;
  let folder: string;
  beforeAll(async () => {
    mesh = await startTestMesh();
    folder = mkdtempSync(join(tmpdir(), 'atelier-rm-'));
  });
  afterAll(async () => {
    await mesh?.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  const atelier = (...args: string[]): Promise<Ended> =>
    inProcess([...args, '--nats', mesh.url], { ATELIER_DATA: folder });

  test('a data set that a run uses stays, with who and what to do; afterwards both go', async () => {
    const datasets = new StateStore(mesh.mesh, 'datasets', Dataset);
    const runs = new StateStore(mesh.mesh, 'runs', Run);
    const id = 'dataset-0k3v9x2m1abcdefgh';
    await datasets.create(id, Dataset.create({ id, name: 'herons', state: DatasetState.DATASET_STATE_INGESTED }));
    await runs.create('r', Run.create({ id: 'r', name: 'x', datasetId: id, state: RunState.RUN_STATE_ENCODING }));
    expect((await atelier('datasets', 'rename', 'herons', 'waders')).stdout).toBe(`data set ${id} is named waders\n`);
    expect(await atelier('rm', 'dataset', 'waders')).toEqual({
      code: 1,
      stdout: '',
      stderr: `atelier: run r (encoding) uses data set waders: wait for its end, or cancel it ("atelier runs cancel r")\n`,
    });
    await runs.update('r', (run) => Run.create({ ...run, state: RunState.RUN_STATE_CANCELLED }));
    expect(await atelier('rm', 'run', 'r')).toMatchObject({ code: 0, stdout: 'run r is deleted\n' });
    const { code, stdout } = await atelier('rm', 'dataset', 'waders', '--json');
    expect([code, JSON.parse(stdout)]).toEqual([0, { type: 'deleted', kind: 'dataset', id, deleted: true }]);
    expect(await datasets.list()).toEqual([]);
  });

  test('what is not there is an error without --force, and what is there goes all the same', async () => {
    const file = join(folder, 'ink.safetensors');
    const [A, B] = ['lora_A', 'lora_B'].map((part) => `transformer.transformer_blocks.0.attn.to_q.${part}.weight`);
    const values = new Float32Array(32);
    writeFileSync(
      file,
      encodeTensors({ [A!]: { shape: [2, 16], data: values }, [B!]: { shape: [16, 2], data: values } }),
    );
    await atelier('adapters', 'import', file, '--name', 'ink');
    expect((await atelier('adapters', 'rename', 'ink', 'pen')).stdout).toBe('adapter ink is named pen\n');
    expect(await atelier('rm', 'adapter', 'ink', 'pen')).toEqual({
      code: 2,
      stdout: 'adapter pen is deleted\n',
      stderr: 'atelier: there is no adapter ink: it was deleted, or never was\n',
    });
    expect(await atelier('rm', 'adapter', 'pen', '--force')).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  test('the store by kind, what a sweep would clear, and the sweep', async () => {
    await new TensorStore(mesh.mesh).put('latents', 'nobodys', Buffer.alloc(2048));
    expect((await atelier('store')).stdout).toMatch(
      /^KIND +COUNT +SIZE\n(.*\n)*latents +1 +2\.0 KiB\n(.*\n)*.* in all; /,
    );
    expect((await atelier('gc')).stdout).toBe('There is nothing to clear.\n'); // it has the grace
    const env = { ATELIER_DATA: folder, ATELIER_SWEEP_GRACE_HOURS: '0' };
    const gc = (...args: string[]): Promise<Ended> => inProcess(['gc', ...args, '--nats', mesh.url], env);
    const line = { kind: 'latents', count: 1, bytes: 2048 };
    expect(JSON.parse((await gc('--dry-run', '--json')).stdout)).toEqual({ type: 'would_clear', ...line });
    expect((await gc()).stdout).toBe('CLEARED  COUNT  SIZE\nlatents  1      2.0 KiB\n');
    expect((await gc()).stdout).toBe('There is nothing to clear.\n');
    expect((await atelier('store')).stdout).toMatch(/last swept \d{4}-/);
  });

  test('a kind that is none is named with those that are', async () => {
    const { code, stderr } = await atelier('rm', 'sets', 'x');
    expect(code).toBe(2);
    expect(stderr).toMatch(/Allowed choices are dataset, run, adapter, drawing, picture/);
  });
});
