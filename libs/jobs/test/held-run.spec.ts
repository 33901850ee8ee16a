import { eventFilters, Run, RunState, streams } from '@atelier/contracts';
import { startTestMesh, type TestMesh } from '@atelier/testing';
import { Runs, TrainersQueue, type HeldRun } from '../src';

let test_: TestMesh;
let runs: Runs;
let ids = 0;

beforeAll(async () => {
  test_ = await startTestMesh();
  runs = new Runs(test_.mesh);
});
afterAll(() => test_.stop());

/** A run that was taken by one trainer, which hung, and by another since. */
async function takenTwice(): Promise<{ hung: HeldRun; holder: HeldRun }> {
  const id = `r${ids++}`;
  await runs.queue(Run.create({ id, name: id, datasetId: 'd', state: RunState.RUN_STATE_QUEUED, encoded: true }));
  const work = { sequence: ids, runId: id };
  const hung = (await new TrainersQueue(test_.mesh).takeNext({ attempt: 1, ...work }))!;
  await hung.training();
  return { hung, holder: (await new TrainersQueue(test_.mesh).takeNext({ attempt: 2, ...work }))! };
}

const told = async (id: string): Promise<number> => {
  const { state } = await test_.mesh.jsm.streams.info(streams.EVENTS, { subjects_filter: eventFilters.run(id) });
  return Object.values(state.subjects ?? {}).reduce((sum, count) => sum + count, 0);
};

const WRITES: [string, (held: HeldRun) => Promise<unknown>][] = [
  ['its plan', (held) => held.planned({ totalBytes: 1 })],
  ['that it trains', (held) => held.training()],
  ['a step', (held) => held.step({ step: 3, loss: 1 })],
  ['its progress', (held) => held.progress({ step: 3, loss: 1, learningRate: 1 })],
  ['that it waits for the encoders', (held) => held.encodeAgain()],
  ['a picture', (held) => held.sample(3, 'a heron', 'x.png')],
  ['a training state', (held) => held.stateSaved('old')],
  ['that it was put down', (held) => held.putDown({ preempted: true })],
  ['its end', (held) => held.finished('adapter')],
  ['that it was cancelled', (held) => held.cancelled()],
];

describe('a trainer that hung while another took its run', () => {
  it.each(WRITES)('cannot write %s: the run stays as the other left it, and nothing is told', async (_what, write) => {
    const { hung, holder } = await takenTwice();
    const before = [await runs.get(hung.id), await told(hung.id)];
    await expect(write(hung)).rejects.toMatchObject({
      code: 'ABORTED',
      message: expect.stringMatching(/another trainer has taken/),
    });
    expect([await runs.get(hung.id), await told(hung.id)]).toEqual(before);
    expect(hung.superseded).toBeDefined();
    await write(holder);
    expect(holder.superseded).toBeUndefined();
  });

  it('nor after the other has finished it', async () => {
    const { hung, holder } = await takenTwice();
    await holder.finished('adapter');
    const before = [await runs.get(hung.id), await told(hung.id)];
    for (const [, write] of WRITES) await expect(write(hung)).rejects.toMatchObject({ code: 'ABORTED' });
    expect([await runs.get(hung.id), await told(hung.id)]).toEqual(before);
  });

  it('hears of it without writing', async () => {
    const { hung } = await takenTwice();
    const watch = hung.watch();
    await new Promise<void>((resolve) => {
      if (watch.met.aborted) resolve();
      else watch.met.addEventListener('abort', () => resolve(), { once: true });
    });
    await watch.close();
    expect(hung.superseded).toBeDefined();
  });
});

it('who asks for the end of a run takes it from nobody', async () => {
  const { holder } = await takenTwice();
  await runs.cancel(holder.id);
  await holder.cancelled();
  expect((await runs.get(holder.id)).state).toBe(RunState.RUN_STATE_CANCELLED);
});
