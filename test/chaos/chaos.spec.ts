import { chaos, faultsOf } from './src/chaos';
import { describeDisturbance, drawDisturbances } from './src/disturbance';
import { differences } from './src/jobs';
import { Fault, Patience } from './src/patience';
import { Random } from './src/random';

const BOUNDS = { most: 3, within: 5, longestStill: 4 };

test('five rounds of kills, stops and standstills: the same bytes, nothing lost, stuck, done twice or left over', async () => {
  // Always the same, so that a change breaks it and not chance; `npm run chaos` draws new ones.
  const figures = await chaos({ rounds: 5, seed: 5, bounds: BOUNDS });
  expect(faultsOf(figures)).toEqual([]);
  expect(figures.rounds.map(({ encoded, keys }) => [encoded, keys > 0])).toEqual(
    figures.rounds.map(({ keys }) => [keys, true]),
  );
}, 600_000);

test('a seed decides what is disturbed and when, within the bounds', () => {
  const drawn = (seed: number): string[][] => {
    const random = new Random(seed);
    return Array.from({ length: 50 }, () => drawDisturbances(random, BOUNDS).map(describeDisturbance));
  };
  expect(drawn(1)).toEqual(drawn(1));
  expect(drawn(1)).not.toEqual(drawn(2));
  const all = drawn(3).flat().join('\n');
  for (const what of ['SIGKILL up', 'SIGTERM trainer', 'SIGSTOP nats-server', 'SIGKILL gateway', 'SIGTERM ingest'])
    expect(all).toContain(what);
  expect(all).not.toMatch(/SIG(TERM|STOP) up/);
});

test('other bytes, other pictures and missing samples are faults', () => {
  const right = { samples: 6, adapter: Buffer.from('adapter'), pictures: ['one', 'two'] };
  expect(differences('x', { ...right }, right)).toEqual([]);
  expect(differences('x', { samples: 5, adapter: Buffer.from('adaptor'), pictures: ['one'] }, right)).toEqual([
    'data set x has 5 samples of 6',
    'adapter x has other bytes',
    'the drawing beside x has other bytes',
  ]);
});

describe('what stands still', () => {
  beforeEach(() => jest.useFakeTimers());
  afterEach(() => jest.useRealTimers());

  const standing = { over: () => false, shows: () => 'training at step 3' };

  test('is a fault after a minute of calm', async () => {
    const patience = new Patience();
    patience.calm();
    const watched = patience.watch('run x', () => Promise.resolve(null), standing).catch((error: unknown) => error);
    await jest.advanceTimersByTimeAsync(61_000);
    expect(await watched).toEqual(new Fault('run x stays training at step 3 for a minute'));
  });

  test('is waited for while something disturbs, and while it moves', async () => {
    const patience = new Patience();
    let step = 0;
    const end = { over: (seen: number) => seen > 400, shows: (seen: number) => String(Math.floor(seen / 100)) };
    const watched = patience.watch('run x', () => Promise.resolve(step++), end);
    await jest.advanceTimersByTimeAsync(70_000);
    patience.calm();
    await jest.advanceTimersByTimeAsync(40_000);
    expect(await watched).toBe(401);
    expect(patience.longest).toBeGreaterThan(20);
    expect(patience.longest).toBeLessThan(30);
  });

  test('an answer that does not come is asked for again, and is a fault after a minute as well', async () => {
    const patience = new Patience();
    let asked = 0;
    const answered = patience.answered('list', () => {
      if (++asked < 3) throw new Error('connection broke');
      return Promise.resolve('here');
    });
    await jest.advanceTimersByTimeAsync(1000);
    expect(await answered).toBe('here');
    patience.calm();
    const never = patience.answered('list', () => Promise.reject(new Error('gone'))).catch((error: unknown) => error);
    await jest.advanceTimersByTimeAsync(61_000);
    expect(await never).toEqual(new Fault('list has no answer (gone) for a minute'));
  });
});
