import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Run, RunState } from '@atelier/contracts';
import { Runs, TrainersQueue, type HeldRun } from '@atelier/jobs';
import { createLogger } from '@atelier/mesh';
import { BlobStore } from '@atelier/store';
import { startTestMesh, type TestMesh } from '@atelier/testing';
import { LocalStates } from '../src/local-states';
import type { TrainerConfig } from '../src/trainer.config';
import type { TrainingState } from '../src/training-state';
import { TrainingStates } from '../src/training-states';

let test_: TestMesh;
let runs: Runs;
let blobs: BlobStore;
let states: TrainingStates;
let folder: string;

const logger = createLogger('test', 'silent');
/** Those of a trainer that has this folder. */
const statesIn = (statesDir: string): TrainingStates =>
  new TrainingStates(test_.mesh, new LocalStates({ statesDir } as TrainerConfig, logger), logger);

beforeEach(async () => {
  test_ = await startTestMesh();
  folder = mkdtempSync(join(tmpdir(), 'training-states-'));
  runs = new Runs(test_.mesh);
  blobs = new BlobStore(test_.mesh);
  states = statesIn(folder);
  await runs.queue(
    Run.create({ id: 'r1', name: 'r1', datasetId: 'd', state: RunState.RUN_STATE_QUEUED, encoded: true }),
  );
});
afterEach(async () => {
  await test_.stop();
  rmSync(folder, { recursive: true });
});

const take = async (): Promise<HeldRun> =>
  (await new TrainersQueue(test_.mesh).takeNext({ attempt: 1, sequence: 1, runId: 'r1' }))!;
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
    expect(await states.load(held)).toEqual({ found: undefined, recovered: false });
    await states.save(held, at(3));
    await states.save(held, at(5));
    expect(await kept()).toEqual(['r1.1.5']);
    const { found } = await states.load(await take());
    expect({ ...found, engine: Buffer.from(found!.engine).toString() }).toEqual({
      ...at(5),
      pictures: [],
      engine: '5',
    });
    await states.remove('r1');
    expect(await kept()).toEqual([]);
  });

  it('is not replaced by that of a trainer which hung meanwhile, whether its step is earlier or later', async () => {
    const hung = await take();
    await states.save(hung, at(3));
    const holder = await take();
    await expect(states.save(hung, at(9))).rejects.toMatchObject({ code: 'ABORTED' });
    expect((await states.load(holder)).found?.step).toBe(3);
    await states.save(holder, at(6));
    await expect(states.save(hung, at(4))).rejects.toMatchObject({ code: 'ABORTED' });
    expect(await kept()).toEqual(['r1.2.6']);
    expect((await states.load(await take())).found?.step).toBe(6);
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
    expect((await states.load(await take())).found?.step).toBe(3);
    expect((await kept()).sort()).toEqual(['r1.1.3', 'r10.1.4']);
  });

  it('of a version that named it as the run is found, and goes when the next is saved', async () => {
    await blobs.put('checkpoints', 'r1', Buffer.from('x'), { step: '7', position: '14', skipped: '[]' });
    const held = await take();
    expect((await states.load(held)).found?.step).toBe(7);
    await states.save(held, at(8));
    expect(await kept()).toEqual(['r1.1.8']);
  });
});

describe('the training state of a run that is put down', () => {
  /** As one is that stops while the mesh is away: the store takes nothing. */
  const putDownAway = async (held: HeldRun, step: number): Promise<void> => {
    const { save } = states;
    states.save = () => Promise.reject(new Error('the mesh is away'));
    expect(await states.putDown(held, at(step))).toBe('in a file');
    states.save = save;
  };

  it('is in the store, and in no file', async () => {
    expect(await states.putDown(await take(), at(3))).toBe('saved');
    expect(await kept()).toEqual(['r1.1.3']);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('while the store takes nothing is in a file, from which the next trainer with that folder goes on', async () => {
    const held = await take();
    await states.save(held, at(3));
    await putDownAway(held, 8);
    const { found, recovered } = await states.load(await take());
    expect({ ...found, engine: Buffer.from(found!.engine).toString(), recovered }).toEqual({
      ...at(8),
      engine: '8',
      recovered: true,
    });
    expect(await kept()).toEqual(['r1.2.8']);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('is of no use once another trainer has taken the run, and goes', async () => {
    await putDownAway(await take(), 8);
    const elsewhere = mkdtempSync(join(tmpdir(), 'training-states-'));
    await statesIn(elsewhere).load(await take());
    expect(await states.load(await take())).toEqual({ found: undefined, recovered: false });
    expect(readdirSync(folder)).toEqual([]);
    rmSync(elsewhere, { recursive: true });
  });

  it('is not used where the store has a later one, nor where its file is damaged', async () => {
    let held = await take();
    await states.save(held, at(9));
    await putDownAway(held, 8);
    expect((await states.load(await take())).found?.step).toBe(9);

    held = await take();
    await putDownAway(held, 20);
    const file = join(folder, readdirSync(folder)[0]!);
    writeFileSync(file, readFileSync(file).subarray(0, -1));
    expect((await states.load(await take())).found?.step).toBe(9);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('that can be kept nowhere is said to be lost', async () => {
    writeFileSync(join(folder, 'no folder'), '');
    const held = await take();
    const nowhere = statesIn(join(folder, 'no folder', 'states'));
    nowhere.save = () => Promise.reject(new Error('the mesh is away'));
    await expect(nowhere.putDown(held, at(3))).rejects.toThrow('the mesh is away');
  });
});
