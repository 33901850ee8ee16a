import { Run, RunState } from '@atelier/contracts';
import { Runs, type HeldRun } from '@atelier/jobs';
import { createLogger } from '@atelier/mesh';
import { BlobStore } from '@atelier/store';
import { startTestMesh, type TestMesh } from '@atelier/testing';
import { TrainingStates, type TrainingState } from '../src/training-states';

let test_: TestMesh;
let runs: Runs;
let blobs: BlobStore;
let states: TrainingStates;

beforeEach(async () => {
  test_ = await startTestMesh();
  runs = new Runs(test_.mesh);
  blobs = new BlobStore(test_.mesh);
  states = new TrainingStates(test_.mesh, createLogger('test', 'silent'));
  await runs.queue(Run.create({ id: 'r1', name: 'r1', datasetId: 'd', state: RunState.RUN_STATE_QUEUED }));
});
afterEach(() => test_.stop());

const take = (): Promise<HeldRun> => runs.take('r1', { attempt: 1, sequence: 1 });
const at = (step: number): TrainingState => ({
  step,
  position: step * 2,
  skipped: [1],
  engine: Buffer.from(`${step}`),
});
const kept = async (): Promise<string[]> => (await blobs.list('checkpoints')).map(({ name }) => name);

describe('the training state of a run', () => {
  it('is the one that was saved last, alone', async () => {
    const held = await take();
    expect(await states.load(held)).toBeUndefined();
    await states.save(held, at(3));
    await states.save(held, at(5));
    expect(await kept()).toEqual(['r1.1.5']);
    const found = await states.load(await take());
    expect({ ...found, engine: Buffer.from(found!.engine).toString() }).toEqual({ ...at(5), engine: '5' });
    await states.remove('r1');
    expect(await kept()).toEqual([]);
  });

  it('is not replaced by that of a trainer which hung meanwhile, whether its step is earlier or later', async () => {
    const hung = await take();
    await states.save(hung, at(3));
    const holder = await take();
    await expect(states.save(hung, at(9))).rejects.toMatchObject({ code: 'ABORTED' });
    expect((await states.load(holder))?.step).toBe(3);
    await states.save(holder, at(6));
    await expect(states.save(hung, at(4))).rejects.toMatchObject({ code: 'ABORTED' });
    expect(await kept()).toEqual(['r1.2.6']);
    expect((await states.load(await take()))?.step).toBe(6);
  });

  it('is not cleared away by one that takes the run and hangs before it looks', async () => {
    await states.save(await take(), at(3));
    const hung = await take();
    await states.save(await take(), at(6));
    await states.load(hung);
    expect(await kept()).toEqual(['r1.3.6']);
  });

  it('that was uploaded by a trainer which died before it was named is cleared away by the next', async () => {
    await states.save(await take(), at(3));
    await blobs.put('checkpoints', 'r1.1.4', Buffer.from('unnamed'));
    await blobs.put('checkpoints', 'r10.1.4', Buffer.from("another run's"));
    expect((await states.load(await take()))?.step).toBe(3);
    expect((await kept()).sort()).toEqual(['r1.1.3', 'r10.1.4']);
  });

  it('of a version that named it as the run is found, and goes when the next is saved', async () => {
    await blobs.put('checkpoints', 'r1', Buffer.from('x'), { step: '7', position: '14', skipped: '[]' });
    const held = await take();
    expect((await states.load(held))?.step).toBe(7);
    await states.save(held, at(8));
    expect(await kept()).toEqual(['r1.1.8']);
  });
});
