import { Run, RunState, streams, subjects } from '@atelier/contracts';
import { StateStore } from '@atelier/store';
import { startTestMesh, waitFor, type TestMesh } from '@atelier/testing';
import { placesOf, Runs, TrainersQueue, type HeldRun } from '../src';

let test_: TestMesh;
let runs: Runs;
let entries: StateStore<Run>;
let queue: TrainersQueue;

beforeEach(async () => {
  test_ = await startTestMesh();
  runs = new Runs(test_.mesh);
  entries = new StateStore(test_.mesh, 'runs', Run);
  queue = new TrainersQueue(test_.mesh);
});
afterEach(() => test_.stop());

const { RUN_STATE_QUEUED, RUN_STATE_ENCODING, RUN_STATE_TRAINING, RUN_STATE_PAUSED, RUN_STATE_CANCELLED } = RunState;

/** A run that was asked for so many seconds after the others, and waits for a trainer. */
async function waits(id: string, seconds = 0, more: Partial<Run> = {}): Promise<void> {
  const createdAt = { seconds: 1000 + seconds, nanos: 0 };
  const ready = { state: RUN_STATE_QUEUED, encoded: true, turns: 1, manifest: 'm' };
  await entries.create(id, Run.create({ id, name: id, datasetId: 'd', createdAt, ...ready, ...more }));
}

/** By a message of its own, or one that comes again. */
const take = async (sequence?: number): Promise<HeldRun | undefined> =>
  queue.takeNext({ attempt: 1, sequence: sequence ?? (await message()), runId: 'whoever' });
/** One that is in hand, of whatever kind. */
async function message(): Promise<number> {
  const { seq } = await test_.mesh.js.publish(subjects.work.generate, new Uint8Array());
  return seq;
}
const rung = async (): Promise<number> => {
  const filter = { subjects_filter: subjects.work.train };
  return (await test_.mesh.jsm.streams.info(streams.WORK, filter)).state.subjects?.[subjects.work.train] ?? 0;
};
const places = async () => Object.fromEntries(placesOf(await runs.list()));

describe('the trainers’ queue', () => {
  it('is by priority, then as runs were asked for, whichever message came; and tells each its place', async () => {
    await waits('third', 3);
    await waits('first', 1);
    await waits('second', 2);
    await waits('last', 0, { priority: -1 });
    await waits('unencoded', 0, { encoded: false, priority: 9 });
    expect(await places()).toEqual({ first: 1, second: 2, third: 3, last: 4 });
    await runs.prioritize('third', 5);
    expect(await places()).toEqual({ third: 1, first: 2, second: 3, last: 4 });
    const taken = [];
    for (let times = 0; times < 4; times++) taken.push((await take())!.id);
    expect(taken).toEqual(['third', 'first', 'second', 'last']);
    expect(await take()).toBeUndefined();
    expect(await places()).toEqual({});
  });

  it('gives each run to one trainer, however many take at once', async () => {
    const ids = Array.from({ length: 8 }, (_, index) => `r${index}`);
    for (const id of ids) await waits(id);
    const trainers = Array.from({ length: 10 }, () => new TrainersQueue(test_.mesh));
    const taken = await Promise.all(
      trainers.map(async (trainer) => trainer.takeNext({ attempt: 1, sequence: await message(), runId: ids[0]! })),
    );
    expect(taken.flatMap((held) => held?.id ?? []).sort()).toEqual(ids);
  });

  it('gives a message that comes again the run that it was used for, also where another would go first', async () => {
    await waits('first', 1);
    const dead = (await take(7))!;
    await waits('urgent', 2, { priority: 9 });
    const next = (await take(7))!;
    expect([next.id, next.fence]).toEqual([dead.id, dead.fence + 1]);
  });

  it('lets a run that was put down wait for its turn again', async () => {
    await waits('first', 1);
    await (await take(7))!.putDown({ preempted: true });
    await waits('urgent', 2, { priority: 9 });
    expect((await take(7))!.id).toBe('urgent');
    expect((await take(8))!.id).toBe('first');
  });

  it('ends a run that was paused and then cancelled, though the trainer comes to it only then', async () => {
    await waits('r', 1);
    const held = (await take(7))!;
    await runs.pause('r');
    await runs.cancel('r');
    const { state } = await held.putDown({ preempted: false });
    expect([state, (await runs.get('r')).state]).toEqual([RUN_STATE_CANCELLED, RUN_STATE_CANCELLED]);
  });

  it('does not pause a run whose end was asked for', async () => {
    await waits('r', 1);
    await take(7);
    await runs.cancel('r');
    expect((await runs.pause('r')).pauseRequested).toBe(false);
  });

  it('takes a message from a run that was put down: it is the next one’s, and ends with that', async () => {
    await waits('first', 1);
    await (await take(7))!.putDown({ preempted: true });
    await waits('urgent', 2, { priority: 9 });
    const dead = (await take(7))!;
    await runs.cancel('first');
    expect(await queue.endedBy(7)).toBeUndefined();
    expect((await take(7))!.id).toBe(dead.id);
  });

  it('passes over a run that is deleted in the moment in which it is taken', async () => {
    await waits('gone', 1);
    await waits('next', 2);
    const list = jest.spyOn(StateStore.prototype, 'list').mockImplementationOnce(async function (
      this: StateStore<Run>,
    ) {
      const found = await this.list();
      await entries.take('gone', () => undefined);
      return found;
    });
    expect((await take())!.id).toBe('next');
    list.mockRestore();
  });

  it('gives a run whose message is gone, and with it who would come for it, to the next trainer that has nothing else', async () => {
    await waits('abandoned', 1);
    const lost = await message();
    expect((await take(lost))!.id).toBe('abandoned');
    expect(await take()).toBeUndefined();
    await test_.mesh.jsm.streams.deleteMessage(streams.WORK, lost);
    expect(await take()).toMatchObject({ id: 'abandoned', fence: 2 });
  });

  it('has nothing for the message of a run that is over', async () => {
    await waits('first', 1);
    await (await take(7))!.finished('adapter');
    expect((await queue.endedBy(7))?.id).toBe('first');
    expect(await take(7)).toBeUndefined();
  });

  it('keeps the order where a priority is said twice, and changes nothing of what is in hand', async () => {
    await waits('first', 1);
    const held = (await take())!;
    for (const priority of [4, 4]) expect((await runs.prioritize('first', priority)).priority).toBe(4);
    await held.training();
    expect(await runs.get('first')).toMatchObject({ state: RUN_STATE_TRAINING, priority: 4 });
  });
});

describe('a paused run', () => {
  it('is taken by nobody until it is resumed, by one message more, however often both are asked', async () => {
    await waits('r');
    for (let times = 0; times < 3; times++) expect((await runs.pause('r')).state).toBe(RUN_STATE_PAUSED);
    expect(await take()).toBeUndefined();
    for (let times = 0; times < 3; times++) expect((await runs.resume('r')).state).toBe(RUN_STATE_QUEUED);
    expect(await rung()).toBe(1);
    expect((await take())!.id).toBe('r');
    await runs.pause('r');
    await runs.resume('r');
    expect(await runs.get('r')).toMatchObject({ inHand: true, pauseRequested: false });
  });

  it('has its message though who resumed it died before that was sent, once it is resumed again', async () => {
    await waits('r', 0, { turns: 2 });
    await runs.resume('r');
    expect(await rung()).toBe(1);
  });

  it('that a trainer has in hand is put down by that, and is no attempt and no preemption', async () => {
    await waits('r');
    const held = (await take())!;
    const pause = held.watchPause();
    expect(await runs.pause('r')).toMatchObject({ inHand: true, pauseRequested: true });
    await waitFor('its trainer to see that', () => pause.met.aborted);
    await pause.close();
    const paused = { state: RUN_STATE_PAUSED, pauseRequested: false, inHand: false, attempts: 0, preemptions: 0 };
    expect(await held.putDown({ preempted: false })).toMatchObject(paused);
    expect(await take()).toBeUndefined();
  });

  it('that was resumed before its trainer put it down waits its turn', async () => {
    await waits('r');
    const held = (await take())!;
    await runs.pause('r');
    await runs.resume('r');
    expect(await held.putDown({ preempted: false })).toMatchObject({ state: RUN_STATE_QUEUED, inHand: false });
  });

  it('is paused too where its trainer was asked to stop, or died, before it saw that', async () => {
    await waits('stopped', 1);
    await waits('died', 2);
    const [stopped] = [await take(7), await take(8)];
    for (const id of ['stopped', 'died']) await runs.pause(id);
    expect((await stopped!.putDown({ preempted: true })).state).toBe(RUN_STATE_PAUSED);
    const next = (await take(8))!;
    expect(next.run.pauseRequested).toBe(true); // its trainer puts it down before it does anything else
  });

  it('is encoded meanwhile, and goes to a trainer only when it is resumed, whichever comes first', async () => {
    for (const [id, order] of [
      ['a', ['pause', 'encoded', 'resume']],
      ['b', ['pause', 'resume', 'encoded']],
      ['c', ['encoded', 'pause', 'resume']],
    ] as const) {
      const before = await rung();
      await waits(id, 0, { state: RUN_STATE_ENCODING, encoded: false });
      const steps = {
        pause: () => runs.pause(id),
        resume: () => runs.resume(id),
        encoded: () => runs.encoded(id, 1, []),
      };
      for (const step of order) await steps[step]();
      expect(await runs.get(id)).toMatchObject({ state: RUN_STATE_QUEUED, encoded: true });
      expect(await rung()).toBeGreaterThan(before);
    }
    for (let times = 0; times < 3; times++) expect(await take()).toBeDefined();
  });

  it('before its data set was read is encoded without being taken', async () => {
    await waits('r', 0, { encoded: false, turns: 0, manifest: '' });
    await runs.pause('r');
    expect(await runs.wantsWork('r')).toBe(true);
    expect(await runs.startEncoding('r', 'm', {})).toMatchObject({ state: RUN_STATE_PAUSED, manifest: 'm', turns: 1 });
    await runs.encoded('r', 1, []);
    expect(await runs.get('r')).toMatchObject({ state: RUN_STATE_PAUSED, encoded: true });
    expect(await take()).toBeUndefined();
  });

  it('of which an encoding is gone stays paused while that is made again, also where its trainer died over that', async () => {
    await waits('r');
    const held = (await take(7))!;
    await runs.pause('r');
    await held.encodeAgain();
    expect(await runs.get('r')).toMatchObject({ state: RUN_STATE_PAUSED, encoded: false, turns: 2 });
    await test_.mesh.jsm.streams.purge(streams.WORK);
    expect(await take(7)).toBeUndefined(); // told once more under the id of before
    await runs.encoded('r', 2, []);
    expect((await runs.resume('r')).state).toBe(RUN_STATE_QUEUED);
  });

  it('can be cancelled, and what it had come to is cleared by a trainer', async () => {
    await waits('r', 0, { trainingState: 'r.1.5' });
    await runs.pause('r');
    expect((await runs.cancel('r')).state).toBe(RUN_STATE_CANCELLED);
    expect(await rung()).toBe(1);
    for (const ask of [runs.pause('r'), runs.resume('r'), runs.prioritize('r', 3)])
      expect((await ask).state).toBe(RUN_STATE_CANCELLED);
  });
});
