import { subjects, TrainWork } from '@atelier/contracts';
import { acquireLease } from '@atelier/lease';
import { publishWork } from '@atelier/mesh';
import { startTestMesh, type TestMesh } from '@atelier/testing';
import { Registry } from 'prom-client';
import { MeshMetrics } from '../src/mesh.metrics';

let server: TestMesh;
beforeAll(async () => {
  server = await startTestMesh();
});
afterAll(async () => {
  jest.restoreAllMocks();
  await server?.stop();
});

const queue = (runId: string): Promise<unknown> =>
  publishWork(server.mesh, subjects.work.train, TrainWork, { runId, manifest: 'm' }, { msgId: runId });

describe("the mesh's figures", () => {
  let now = performance.now();
  const registry = new Registry();
  const valueOf = async (sample: string): Promise<number> => {
    const line = (await registry.metrics()).split('\n').find((each) => each.startsWith(`${sample} `));
    return Number(line?.slice(sample.length + 1) ?? NaN);
  };

  test('say how queues, dead letters, streams and leases stand', async () => {
    jest.spyOn(performance, 'now').mockImplementation(() => now);
    expect(new MeshMetrics(server.mesh, registry)).toBeDefined();
    await queue('a');
    await queue('b');
    const consumer = await server.mesh.js.consumers.get('WORK', 'work-train');
    expect((await consumer.next())?.seq).toBe(1);
    await server.mesh.js.publish(subjects.dead(subjects.work.latents), new Uint8Array(1));
    const device = { device: 'cuda:0', capacity: 1000 };
    const held = await acquireLease(server.mesh, { ...device, bytes: 600, owner: 'training herons' });
    const leaving = new AbortController();
    const waits = acquireLease(server.mesh, { ...device, bytes: 600, owner: 'inference', signal: leaving.signal });
    await new Promise((resolve) => setImmediate(resolve));

    expect(await valueOf('atelier_queue_messages{subject="work.train",state="waiting"}')).toBe(1);
    expect(await valueOf('atelier_queue_messages{subject="work.train",state="in_hand"}')).toBe(1);
    const age = await valueOf('atelier_queue_oldest_message_age_seconds{subject="work.train"}');
    expect(age).toBeGreaterThan(0);
    expect(age).toBeLessThan(60);
    expect(await valueOf('atelier_queue_oldest_message_age_seconds{subject="work.ingest"}')).toBe(0);
    expect(await valueOf('atelier_dead_letters{subject="work.latents"}')).toBe(1);
    expect(await valueOf('atelier_dead_letters{subject="work.train"}')).toBe(0);
    expect(await valueOf('atelier_store_stream_bytes{stream="WORK"}')).toBeGreaterThan(0);
    expect(await valueOf('atelier_store_stream_messages{stream="WORK"}')).toBe(2);
    expect(await valueOf('atelier_store_stream_limit_messages{stream="EVENTS"}')).toBe(2_000_000);
    expect(await valueOf('atelier_lease_bytes{device="cuda_0",holder="training"}')).toBe(600);
    expect(await valueOf('atelier_lease_holders{device="cuda_0"}')).toBe(1);
    expect(await valueOf('atelier_lease_limit_bytes{device="cuda_0"}')).toBe(1000);
    leaving.abort();
    await expect(waits).rejects.toThrow('gave up waiting');
    await held.release();
  });

  test('are asked for once in five seconds, however often they are scraped, and missing while it is away', async () => {
    const asked = jest.spyOn(server.mesh.jsm.consumers, 'info');
    now += 4000;
    await Promise.all([registry.metrics(), registry.metrics()]);
    expect(asked).not.toHaveBeenCalled();
    await queue('c');
    now += 2000;
    expect(await valueOf('atelier_queue_messages{subject="work.train",state="waiting"}')).toBe(2);
    expect(asked).toHaveBeenCalledTimes(5); // one for each kind of work
    server.signalNats('SIGSTOP');
    try {
      now += 6000;
      expect(await valueOf('atelier_queue_messages{subject="work.train",state="waiting"}')).toBeNaN();
    } finally {
      server.signalNats('SIGCONT');
    }
  });
});
