import { TensorStore } from '@atelier/store';
import { startServiceProcess, tinyCheckpoint, waitFor } from '@atelier/testing';
import { form, startGateway, type TestGateway } from './harness';

const KiB = 1024;
const MiB = KiB ** 2;

interface Store {
  state: string;
  used_bytes: number;
  kinds: { kind: string; count: number; bytes: number }[];
  last_sweep: { finished_at: number | null; cleared: object[] } | null;
}

describe('the store', () => {
  let gateway: TestGateway;
  afterEach(() => gateway?.stop());
  const store = async (): Promise<Store> => (await (await fetch(`${gateway.url}/v1/store`)).json()) as Store;
  const sweep = async (query = ''): Promise<unknown> =>
    (await fetch(`${gateway.url}/v1/store/sweep${query}`, { method: 'POST' })).json();
  const upload = (name: string): Promise<Response> =>
    fetch(`${gateway.url}/v1/datasets`, { method: 'POST', body: form({ name }, { 'a.png': Buffer.alloc(MiB, 1) }) });

  test('says what takes how much; a sweep says what it would clear, clears it, and is remembered', async () => {
    gateway = await startGateway({ ATELIER_SWEEP_GRACE_HOURS: '0' });
    await new TensorStore(gateway.mesh).put('latents', 'nobodys', Buffer.alloc(KiB));
    const before = await store();
    expect(before).toMatchObject({ state: 'unknown', last_sweep: null });
    expect(before.kinds).toContainEqual({ kind: 'latents', count: 1, bytes: KiB });
    expect(before.used_bytes).toBe(before.kinds.reduce((sum, { bytes }) => sum + bytes, 0));
    const cleared = [{ kind: 'latents', count: 1, bytes: KiB }];
    expect(await sweep('?dry_run=true')).toEqual({ object: 'sweep', dry_run: true, bytes: KiB, cleared });
    expect(await sweep()).toEqual({ object: 'sweep', dry_run: false, bytes: KiB, cleared });
    expect(await sweep()).toEqual({ object: 'sweep', dry_run: false, bytes: 0, cleared: [] });
    const after = await store();
    expect(after.kinds.map(({ kind }) => kind)).not.toContain('latents');
    expect(after.last_sweep).toMatchObject({ finished_at: expect.any(Number), cleared: [] });
  });

  test('is swept by itself, and measured', async () => {
    gateway = await startGateway({ ATELIER_SWEEP_GRACE_HOURS: '0', ATELIER_SWEEP_MINUTES: '0.005' });
    const tensors = new TensorStore(gateway.mesh);
    await tensors.put('latents', 'nobodys', Buffer.alloc(KiB));
    await waitFor('the sweep', async () => !(await tensors.has('latents', 'nobodys')));
    await tensors.put('prompts', 'drawn', Buffer.alloc(KiB));
    await waitFor('the figures', async () =>
      /atelier_store_bytes\{kind="prompts",service="gateway"\} 1024/.test(
        await (await fetch(`${gateway.url}/metrics`)).text(),
      ),
    );
  });

  test('that is full to the last byte serves again, lets itself be emptied, and then takes what is new', async () => {
    gateway = await startGateway({}, { maxFileStore: 32 * MiB });
    const ids: string[] = [];
    let response = await upload('herons');
    for (; response.status === 202; response = await upload('herons'))
      ids.push(((await response.json()) as { id: string }).id);
    expect([response.status, await response.text()]).toEqual([507, expect.stringContaining('atelier store')]);
    expect(ids.length).toBeGreaterThan(20);
    for (let size = MiB / 2; size >= 1; size = Math.floor(size / 2))
      await new TensorStore(gateway.mesh).put('latents', `${size}`, Buffer.alloc(size)).catch(() => undefined);

    await gateway.restartNats();
    await waitFor('nats-server to be back', async () => (await fetch(`${gateway.url}/healthz`)).ok);
    const { port } = gateway.mesh.nc.info!;
    const env = { ATELIER_NATS_URL: `nats://127.0.0.1:${port}`, ATELIER_MODEL: tinyCheckpoint() };
    for (const name of ['ingest', 'latents', 'prompts', 'inference'] as const)
      expect(await (await startServiceProcess(name, env)).stop()).toBe(0);
    const again = await startServiceProcess('gateway', { ...env, ATELIER_HTTP_PORT: '0' });
    try {
      const url = /"url":"([^"]+)"/.exec(again.log())![1]!;
      for (const id of ids) {
        const response = await fetch(`${url}/v1/datasets/${id}`, { method: 'DELETE' });
        expect(await response.json()).toEqual({ id, object: 'dataset', deleted: true });
      }
      await gateway.restartNats(); // before 2.9.15 it counts what was purged until then: "atelier up" does this
      await waitFor('an upload to be taken again', async () => (await upload('waders')).status === 202);
    } finally {
      expect(await again.stop()).toBe(0);
    }
  });
});
