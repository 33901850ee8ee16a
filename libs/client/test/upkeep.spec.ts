import { buckets, Sweep as SweepState, timestamp, toDate } from '@atelier/contracts';
import { Sweep, SweepTurn } from '@atelier/jobs';
import { StateStore } from '@atelier/store';
import { startTestMesh, waitFor, type TestMesh } from '@atelier/testing';
import { Connection } from '../src/connection';
import { sweepInTurn } from '../src/upkeep';

const HOUR = 3_600_000;
const RULES = { graceMs: HOUR, promptsKeptMs: HOUR };

describe('a sweep that looks for long before it clears anything', () => {
  let test_: TestMesh;
  beforeAll(async () => (test_ = await startTestMesh()));
  afterEach(() => jest.restoreAllMocks());
  afterAll(() => test_.stop());

  test('keeps its turn meanwhile, comes to its end, and then says no more', async () => {
    const store = new StateStore(test_.mesh, buckets.state.sweeps, SweepState);
    const { setInterval } = globalThis;
    const [set, cleared] = [jest.spyOn(globalThis, 'setInterval'), jest.spyOn(globalThis, 'clearInterval')];
    set.mockImplementation(((say: () => void, ms: number) => setInterval(say, ms / 1000)) as typeof setInterval);
    jest.spyOn(Sweep.prototype, 'run').mockImplementation(async () => {
      const nearlyDead = new Date(Date.now() - 59_000);
      await store.update('last', (sweep) => SweepState.create({ ...sweep, aliveAt: timestamp(nearlyDead) }));
      await waitFor('word of it', async () => toDate((await store.get('last'))?.value.aliveAt)! > nearlyDead);
      expect(await new SweepTurn(test_.mesh).take(0)).toBe(false);
      return [];
    });
    expect(await sweepInTurn(new Connection(test_.mesh), RULES, HOUR)).toEqual([]);
    expect(await new SweepTurn(test_.mesh).last()).toMatchObject({ finishedAt: expect.anything() });
    expect(cleared).toHaveBeenCalledWith(set.mock.results.at(-1)!.value);
  });
});
