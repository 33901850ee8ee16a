import { reserveOf } from '@atelier/mesh';
import { marginOf, storeLimit } from './disk';
import { decide, type Situation } from './store-decision';

const MiB = 1024 ** 2;
const GiB = 1024 ** 3;
const total = 400 * MiB;
const disk = (free: number) => ({ total, free: free * MiB });

/** A server that was started on the disk when it had so much free and held so much. */
function situation(free: number, used: number, more: Partial<Situation> = {}): Situation {
  const wanted = storeLimit(disk(free), used * MiB, 0);
  return {
    disk: disk(free),
    store: { used: used * MiB, counted: used * MiB },
    limit: wanted,
    wanted,
    spare: 0,
    ...more,
  };
}

describe('the limit of a store', () => {
  test('is what it holds and what is free, but for a margin that grows with the disk', () => {
    expect(reserveOf(400 * MiB)).toBe(40 * MiB);
    expect(reserveOf(1000 * GiB)).toBe(2 * GiB);
    expect(marginOf(400 * MiB)).toBe(10 * MiB);
    expect(marginOf(1000 * GiB)).toBe(512 * MiB);
    expect(storeLimit(disk(100), 250 * MiB, 0)).toBe(340 * MiB);
  });

  test('is never less than what streams reserve, without which they would not be served again', () => {
    expect(storeLimit(disk(100), 250 * MiB, GiB)).toBe(GiB + MiB);
  });
});

describe('nats-server is started anew', () => {
  test('not while all is well, full or not', () => {
    for (const free of [300, 60, 20, 11]) expect(decide(situation(free, 80))).toBeUndefined();
  });

  test('when others have taken the disk, so that it takes nothing more', () => {
    const before = situation(100, 80);
    const wanted = storeLimit(disk(3), 80 * MiB, 0);
    expect(decide({ ...before, disk: disk(3), wanted })).toMatchObject({
      act: 'restart',
      why: expect.stringContaining('all but full'),
    });
    // it takes nothing more already
    expect(decide({ ...before, disk: disk(3), wanted, limit: wanted })).toBeUndefined();
  });

  test('when there is room again, or when it counts what was purged long ago', () => {
    const refusing = { ...situation(100, 80), limit: 73 * MiB };
    expect(decide(refusing)).toMatchObject({ act: 'restart', why: expect.stringContaining('more room') });
    const miscounting = situation(100, 80, { store: { used: 80 * MiB, counted: 165 * MiB } });
    expect(decide(miscounting)).toMatchObject({ act: 'restart' });
  });

  test('when its JetStream is off, or has hung for long, and there is room for a start', () => {
    const trouble = (what: string, ms: number) => situation(50, 80, { trouble: { what, ms } });
    expect(decide(trouble('JetStream gave no answer in 3000 ms', 5000))).toBeUndefined();
    expect(decide(trouble('JetStream gave no answer in 3000 ms', 15_000))).toMatchObject({ act: 'kill' });
    expect(decide(trouble('jetstream not enabled for account', 0))).toMatchObject({ act: 'kill' });
    expect(decide(situation(0, 80, { trouble: { what: '503', ms: 0 } }))).toMatchObject({
      act: 'wait',
      why: expect.stringContaining('once there is room'),
    });
    expect(decide(situation(0, 80, { trouble: { what: '503', ms: 0 }, spare: 4 * MiB }))).toMatchObject({
      act: 'kill',
    });
  });

  test('not when the process itself is stopped: that passes by itself, or is another affair', () => {
    expect(decide(situation(50, 80, { trouble: { what: '', ms: 0 } }))).toBeUndefined();
  });
});
