import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  buckets,
  Delivery,
  DeliveryState,
  eventSubjects,
  Generation,
  GenerationState,
  RunState,
} from '@atelier/contracts';
import { publishEvent } from '@atelier/mesh';
import { BlobStore, StateStore } from '@atelier/store';
import { startTestMesh, type TestMesh } from '@atelier/testing';
import { inProcess, type Ended } from './run-cli';

describe('atelier drawings, events and webhooks', () => {
  let mesh: TestMesh;
  let folder: string;
  beforeAll(async () => {
    mesh = await startTestMesh();
    folder = mkdtempSync(join(tmpdir(), 'atelier-events-'));
  });
  afterAll(async () => {
    await mesh?.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  const atelier = (...args: string[]): Promise<Ended> =>
    inProcess([...args, '--nats', mesh.url], { ATELIER_DATA: folder });
  const objects = ({ stdout }: Ended) =>
    stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);

  test('a drawing that nobody waits for is listed, shown, saved and deleted', async () => {
    const drawings = new StateStore(mesh.mesh, buckets.state.generations, Generation);
    const [id, other] = ['gen-0k3v9x2m1abcdefgh', 'gen-0k3v9x2m0abcdefgh'];
    const images = [`${id}/0.png`, `${id}/1.png`];
    const work = { id, prompt: 'a heron', width: 64, height: 64, count: 2, seed: 7 };
    await drawings.create(
      id,
      Generation.create({ id, work, images, state: GenerationState.GENERATION_STATE_FINISHED }),
    );
    await drawings.create(other, Generation.create({ id: other, state: GenerationState.GENERATION_STATE_QUEUED }));
    for (const image of images) await new BlobStore(mesh.mesh).put(buckets.blobs.samples, image, Buffer.from(image));
    expect(objects(await atelier('drawings', '--json')).map((each) => [each.id, each.status])).toEqual([
      [id, 'finished'],
      [other, 'queued'],
    ]);
    expect((await atelier('drawings', 'show', id)).stdout).toMatch(
      /status +finished\nsize +64x64, seed 7\nprompt +a heron/,
    );
    const file = join(folder, 'heron.png');
    expect((await atelier('drawings', 'save', id, '-o', file)).code).toBe(0);
    expect(readFileSync(join(folder, 'heron-2.png'), 'utf8')).toBe(images[1]);
    expect(await atelier('drawings', 'save', other)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('is queued and has no pictures') as string,
    });
    expect((await atelier('drawings', 'cancel', other)).stdout).toBe(`drawing ${other} is queued, to be cancelled\n`);
    expect((await atelier('drawings', 'rm', id)).stdout).toBe(`drawing ${id} is deleted\n`);
    expect((await atelier('drawings', 'rm', id)).code).toBe(2);
  });

  test('an entry that cannot be read is removed as any other', async () => {
    const id = 'gen-0k3v9x2m3abcdefgh';
    await (await mesh.mesh.js.views.kv('generations')).put(id, Buffer.from([0xff, 0xff, 0xff]));
    expect((await atelier('drawings', 'show', id)).stderr).toContain('cannot be read: delete it');
    expect(await atelier('rm', 'drawing', id)).toMatchObject({ code: 0, stdout: `drawing ${id} is deleted\n` });
    expect((await atelier('rm', 'drawing', id)).code).toBe(2);
  });

  test('events that were told are said, by kind, id and type, and the command ends', async () => {
    const tell = (id: string, state: RunState) =>
      publishEvent(mesh.mesh, eventSubjects.run({ id, datasetId: 'd' }, 'state'), { runState: { runId: id, state } });
    await tell('run-a', RunState.RUN_STATE_FINISHED);
    await tell('run-b', RunState.RUN_STATE_FINISHED);
    await tell('run-b', RunState.RUN_STATE_FAILED);
    const said = async (...args: string[]) =>
      objects(await atelier('events', '--json', ...args)).map(({ id, type }) => `${String(id)} ${String(type)}`);
    expect(await said('--kind', 'run')).toEqual(['run-a finished', 'run-b finished', 'run-b failed']);
    expect(await said('--id', 'run-b', '--type', 'failed')).toEqual(['run-b failed']);
    expect((await atelier('events', '--type', 'failed')).stdout).toMatch(
      /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d {2}run run-b failed\n$/,
    );
    expect((await atelier('events', '--kind', 'poem')).code).toBe(2);
  });

  test('webhooks: added with a secret, listed without, their deliveries seen and replayed', async () => {
    const added = objects(await atelier('webhooks', 'add', 'https://example.com/x', '--type', 'run.*', '--json'))[0]!;
    expect(added).toMatchObject({ url: 'https://example.com/x', types: ['run.*'], status: 'active' });
    expect(added.secret).toMatch(/^whsec_/);
    const id = String(added.id);
    expect((await atelier('webhooks')).stdout).toContain('https://example.com/x');
    expect((await atelier('webhooks', '--json')).stdout).not.toContain('whsec_');
    expect((await atelier('webhooks', 'deliveries', id)).stdout).toBe('Nothing was delivered yet.\n');
    const tried = {
      webhookId: id,
      sequence: 3,
      type: 'dev.atelier.run.failed',
      subject: 'run-b',
      tries: 2,
      status: 500,
    };
    const state = DeliveryState.DELIVERY_STATE_DEAD;
    await new StateStore(mesh.mesh, 'deliveries', Delivery).create(`${id}.3`, Delivery.create({ ...tried, state }));
    const [delivery] = objects(await atelier('webhooks', 'deliveries', id, '--json'));
    expect(delivery).toMatchObject({ id: 3, status: 'dead', http_status: 500, tries: 2 });
    expect((await atelier('webhooks', 'replay', id, '3')).stdout).toBe(
      'dev.atelier.run.failed of run-b is sent once more\n',
    );
    expect((await atelier('webhooks', 'replay', id, '4')).code).toBe(2);
    expect((await atelier('webhooks', 'rm', id)).code).toBe(0);
    expect((await atelier('webhooks', 'rm', id)).code).toBe(2);
    expect((await atelier('webhooks', 'add', 'file:///etc/passwd')).code).toBe(2);
  });
});
