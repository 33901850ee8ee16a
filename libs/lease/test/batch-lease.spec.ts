import { acquireLease, BatchLease, leasesOf } from '@atelier/lease';
import { startTestMesh, waitFor, type TestMesh } from '@atelier/testing';

describe('a lease for a batch', () => {
  let test: TestMesh;
  beforeAll(async () => {
    test = await startTestMesh();
  });
  afterAll(() => test.stop());

  let device = 0;
  let batch: BatchLease;
  let told: number;
  beforeEach(() => {
    told = 0;
    batch = new BatchLease(
      test.mesh,
      { device: `gpu:${++device}`, capacity: 100, owner: 'latents', priority: 5 },
      () => (told += 1),
    );
  });
  afterEach(() => batch.release());
  const held = async () => (await leasesOf(test.mesh, `gpu:${device}`)).map(({ bytes }) => bytes);

  it('is taken once for many pieces and let go at the end', async () => {
    await batch.cover(40);
    await batch.cover(30);
    await batch.cover(40);
    expect(await held()).toEqual([40]);
    await batch.release();
    expect(await held()).toEqual([]);
  });

  it('is replaced by a larger one, never added to', async () => {
    await batch.cover(60);
    expect(batch.covers(70)).toBe(false);
    await batch.cover(70);
    expect(await held()).toEqual([70]);
  });

  it('is unwelcome as soon as someone more urgent waits', async () => {
    await batch.cover(60);
    expect(batch.unwelcome).toBe(false);
    const training = acquireLease(test.mesh, {
      device: `gpu:${device}`,
      capacity: 100,
      bytes: 80,
      owner: 'trainer',
      priority: 10,
    });
    await waitFor('word of it', () => batch.unwelcome);
    expect(told).toBe(1);
    await batch.release();
    await (await training).release();
  });

  it('waits for room until the signal', async () => {
    const other = await acquireLease(test.mesh, {
      device: `gpu:${device}`,
      capacity: 100,
      bytes: 80,
      owner: 'trainer',
      priority: 10,
    });
    const stop = new AbortController();
    const waiting = batch.cover(60, stop.signal);
    setTimeout(() => stop.abort(), 100);
    await expect(waiting).rejects.toMatchObject({ code: 'CANCELLED' });
    await other.release();
    await batch.cover(60);
    expect(await held()).toEqual([60]);
  });
});
