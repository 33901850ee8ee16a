import { AtelierError, calls, StoreReply } from '@atelier/contracts';
import { isPermanent, isStoreFull, meshHealth, orStoreFull, StoreFull, throughOutage } from '@atelier/mesh';
import { startTestMesh, type TestMesh } from '@atelier/testing';
import { NatsError } from 'nats';

const MiB = 1024 ** 2;

/** As JetStream refuses: what it answered is in api_error. */
function refused(code: number, err_code: number, description: string): NatsError {
  const error = new NatsError(String(code), String(code));
  error.api_error = { code, err_code, description };
  return error;
}

describe('a full store', () => {
  test.each([
    ['its server is at its limit', refused(503, 10023, 'insufficient resources'), true],
    ['its account is at its limit', refused(400, 10002, 'resource limits exceeded for account'), true],
    ['a stream would reserve too much', refused(500, 10047, 'insufficient storage resources available'), true],
    ['the disk is full', refused(503, 10077, 'write 1.blk: no space left on device'), true],
    ['a message that is not there', refused(404, 10037, 'no message found'), false],
    ['memory for a plan', new AtelierError('RESOURCE_EXHAUSTED', 'the run needs 9 GB'), false],
  ])('%s', async (_what, error, full) => {
    expect(isStoreFull(error)).toBe(full);
    const told = await orStoreFull(() => Promise.reject(error)).catch((reason: Error) => reason);
    expect(told instanceof StoreFull).toBe(full);
    expect(isPermanent(told)).toBe(error instanceof AtelierError);
  });

  test('is known again after a call, where only code and details travel', () => {
    const { code, message, details } = new StoreFull('full');
    expect(isStoreFull(new AtelierError(code, message, details))).toBe(true);
  });

  test('is waited for through an outage without an end, or passed on at once', async () => {
    let tries = 0;
    const ask = async (): Promise<string> => {
      if (++tries < 2) throw new StoreFull('full');
      return 'written';
    };
    expect(await throughOutage(ask, { patienceMs: 0 })).toBe('written');
    tries = 0;
    await expect(throughOutage(ask, { full: 'pass on' })).rejects.toThrow('full');
    expect(tries).toBe(1);
  });
});

describe('the room of a store', () => {
  let test_: TestMesh;
  beforeEach(async () => (test_ = await startTestMesh()));
  afterEach(() => test_.stop());

  const keeper = (reply: { freeBytes: number; limitBytes: number; reserveBytes: number }): void => {
    test_.mesh.nc.subscribe(calls.room.subject, {
      callback: (_error, message) => void message.respond(StoreReply.encode({ path: '/data/nats', ...reply }).finish()),
    });
  };

  test('is not known where nobody tells, and then nothing is refused', async () => {
    expect(await test_.mesh.room.look()).toMatchObject({ room: Infinity, reserve: 0 });
    await test_.mesh.room.require(1e15, 'new work');
  });

  test('is what the disk and the limit both have; new work keeps off the reserve, accepted work off its last quarter', async () => {
    keeper({ freeBytes: 100 * MiB, limitBytes: 1000 * MiB, reserveBytes: 40 * MiB });
    const { room } = test_.mesh;
    await room.require(60 * MiB, 'new work');
    const error = await room.require(61 * MiB, 'new work').catch((reason: StoreFull) => reason);
    expect(error).toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      details: {
        free_bytes: String(100 * MiB),
        needed_bytes: String(61 * MiB),
        limit_bytes: String(1000 * MiB),
        path: '/data/nats',
      },
    });
    expect((error as Error).message).toMatch(
      /^the store is full: 100\.0 MiB of 1000\.0 MiB may still be written to \/data\/nats, and 40\.0 MiB are kept for work under way; 61\.0 MiB are needed\. Free space/,
    );
    await room.require(90 * MiB, 'accepted work');
    await expect(room.require(91 * MiB, 'accepted work')).rejects.toThrow('the store is full');
  });

  test('a server that is stopped: health is told within two seconds', async () => {
    expect(await meshHealth(test_.mesh)).toMatchObject({ connected: true });
    test_.signalNats('SIGSTOP');
    try {
      const asked = Date.now();
      expect(await meshHealth(test_.mesh)).toMatchObject({
        connected: false,
        reason: expect.stringContaining('no answer'),
      });
      expect(Date.now() - asked).toBeLessThan(2000);
    } finally {
      test_.signalNats('SIGCONT');
    }
  });
});
