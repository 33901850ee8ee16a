import { Sweep, timestamp } from '@atelier/contracts';
import { StateStore } from '@atelier/store';
import { startTestMesh, type TestMesh } from '@atelier/testing';
import { SweepTurn } from '../src';

const HOUR = 3_600_000;

describe('the turn to sweep', () => {
  let test_: TestMesh;
  beforeAll(async () => (test_ = await startTestMesh()));
  afterAll(() => test_.stop());

  test('is one holder at a time, and nobody has it for an interval after the end', async () => {
    const turns = Array.from({ length: 6 }, () => new SweepTurn(test_.mesh));
    const taken = await Promise.all(turns.map((turn) => turn.take(HOUR)));
    expect(taken.filter(Boolean)).toHaveLength(1);
    const holder = turns[taken.indexOf(true)]!;
    await holder.goesOn();
    await holder.end([{ kind: 'latents', count: 2, bytes: 3 }]);
    expect(await turns[0]!.last()).toMatchObject({ cleared: [{ kind: 'latents', count: 2, bytes: 3 }] });
    expect(await Promise.all(turns.map((turn) => turn.take(HOUR)))).toEqual(turns.map(() => false));
    expect(await turns[1]!.take(0)).toBe(true);
  });

  test('passes on from one who died, who then may not write any more', async () => {
    const store = new StateStore(test_.mesh, 'sweeps', Sweep);
    const [first, second] = [new SweepTurn(test_.mesh), new SweepTurn(test_.mesh)];
    await store.take('last', () => undefined);
    expect([await first.take(HOUR), await second.take(HOUR)]).toEqual([true, false]);
    await store.update('last', (sweep) =>
      Sweep.create({ ...sweep, aliveAt: timestamp(new Date(Date.now() - 61_000)) }),
    );
    expect(await second.take(HOUR)).toBe(true);
    await expect(first.end([])).rejects.toMatchObject({ code: 'ABORTED' });
  });
});
