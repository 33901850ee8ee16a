import { acquireLease, leasesOf, waitersOf } from '@atelier/lease';
import { startTestMesh, waitFor, type TestMesh } from '@atelier/testing';

describe('a lease', () => {
  let test: TestMesh;
  beforeAll(async () => {
    test = await startTestMesh();
  });
  afterAll(() => test.stop());
  const device = () => `gpu-${expect.getState().currentTestName!.length}`;
  const inQueue = (owner: string) =>
    waitFor(`${owner} in the queue`, async () =>
      (await waitersOf(test.mesh, device())).some((waiter) => waiter.owner === owner),
    );
  const ask = (owner: string, bytes: number, more = {}) =>
    acquireLease(test.mesh, { device: device(), capacity: 100, bytes, owner, ...more });

  it('is given while there is room, and the sum never exceeds what there is', async () => {
    const a = await ask('a', 60);
    const b = await ask('b', 40);
    let given = false;
    const waiting = ask('c', 10).then((lease) => {
      given = true;
      return lease;
    });
    await inQueue('c');
    expect(given).toBe(false);
    await b.release();
    const c = await waiting;
    expect(c.token).toBeGreaterThan(b.token);
    await a.release();
    await c.release();
  });

  it('that could never be given is refused at once, with the numbers', async () => {
    await expect(ask('greedy', 101)).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      message: expect.stringMatching(/101.*100/),
    });
  });

  it('of a holder that died is free after its time', async () => {
    const dead = await ask('dead', 100, { ttlMs: 400 });
    clearInterval((dead as unknown as { timer: NodeJS.Timeout }).timer); // as if its process were gone
    const next = await ask('next', 100);
    expect(next.token).toBeGreaterThan(dead.token);
    await next.release();
  });

  it('is not taken from its holder by who has a clock that is ahead', async () => {
    const held = await ask('held', 100, { ttlMs: 5000 });
    const ahead = Date.now() + 60_000;
    const clock = jest.spyOn(Date, 'now').mockImplementation(() => ahead);
    const stop = new AbortController();
    try {
      const other = ask('ahead', 50, { signal: stop.signal }).catch((error: unknown) => error);
      await inQueue('ahead');
      expect((await leasesOf(test.mesh, device())).map(({ owner }) => owner)).toEqual(['held']);
      stop.abort();
      expect(await other).toMatchObject({ code: 'CANCELLED' });
    } finally {
      clock.mockRestore();
    }
    expect(held.lost.aborted).toBe(false);
    await held.release();
  });

  it('is kept by its renewals, far beyond its time', async () => {
    const held = await ask('held', 100, { ttlMs: 300 });
    const stop = new AbortController();
    const other = ask('other', 50, { signal: stop.signal, ttlMs: 300 }).catch((error: unknown) => error);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(held.lost.aborted).toBe(false);
    expect((await waitersOf(test.mesh, device())).map(({ owner }) => owner)).toEqual(['other']);
    stop.abort();
    await other;
    await held.release();
  });

  it('goes to the more urgent of two who wait', async () => {
    const first = await ask('first', 100);
    const order: string[] = [];
    const low = ask('low', 100, { priority: 0 }).then((lease) => (order.push('low'), lease.release()));
    await inQueue('low');
    const high = ask('high', 100, { priority: 5 }).then((lease) => (order.push('high'), lease.release()));
    await inQueue('high');
    await first.release();
    await Promise.all([low, high]);
    expect(order).toEqual(['high', 'low']);
  });

  it('tells its holder when someone more urgent waits, and nobody else does', async () => {
    const held = await ask('drawing', 100);
    const stop = new AbortController();
    const equal = ask('drawing too', 50, { signal: stop.signal }).catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(held.wanted.aborted).toBe(false);
    const training = ask('training', 100, { priority: 10 });
    await new Promise((resolve) => held.wanted.addEventListener('abort', resolve));
    await held.release();
    expect((await training).wanted.aborted).toBe(false);
    stop.abort();
    await equal;
    await (await training).release();
  });

  it('given up while waiting leaves no trace', async () => {
    const held = await ask('held', 100);
    const stop = new AbortController();
    const waiting = ask('impatient', 50, { signal: stop.signal });
    setTimeout(() => stop.abort(), 200);
    await expect(waiting).rejects.toMatchObject({ code: 'CANCELLED' });
    await held.release();
    const device = `gpu-${expect.getState().currentTestName!.length}`;
    expect(await leasesOf(test.mesh, device)).toEqual([]);
  });
});
