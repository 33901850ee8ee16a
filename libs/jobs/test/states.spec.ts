import {
  Dataset,
  DatasetState,
  eventFilters,
  Generation,
  GenerationState,
  IngestWork,
  Run,
  RunState,
  streams,
  subjects,
  TrainWork,
  type Event,
} from '@atelier/contracts';
import { subscribeEvents } from '@atelier/mesh';
import { startTestMesh, type TestMesh } from '@atelier/testing';
import { Datasets, Generations, Runs, TrainersQueue, type ReadDataset } from '../src';

let test_: TestMesh;
let runs: Runs;
let datasets: Datasets;
let generations: Generations;

beforeAll(async () => {
  test_ = await startTestMesh();
  runs = new Runs(test_.mesh);
  datasets = new Datasets(test_.mesh);
  generations = new Generations(test_.mesh);
});
afterAll(() => test_.stop());

/** What was told under a filter; all of it is on disk by now. */
async function told(filter: string): Promise<Event[]> {
  const { state } = await test_.mesh.jsm.streams.info(streams.EVENTS, { subjects_filter: filter });
  const expected = Object.values(state.subjects ?? {}).reduce((sum, count) => sum + count, 0);
  const found: Event[] = [];
  const stop = new AbortController();
  if (expected === 0) return found;
  for await (const { event } of subscribeEvents(test_.mesh, filter, { signal: stop.signal })) {
    found.push(event);
    if (found.length === expected) stop.abort();
  }
  return found;
}

const queueRun = (id: string, more: Partial<Run> = {}) =>
  runs.queue(Run.create({ id, name: id, datasetId: 'd', state: RunState.RUN_STATE_QUEUED, ...more }));

/** As a trainer takes the one run that waits, by a message of its own. */
const take = async (runId: string, sequence: number) =>
  (await new TrainersQueue(test_.mesh).takeNext({ attempt: 1, sequence, runId }))!;

async function last<T>(subject: string, type: { decode(bytes: Uint8Array): T }): Promise<T> {
  const { data } = await test_.mesh.jsm.streams.getMessage(streams.WORK, { last_by_subj: subject });
  return type.decode(data);
}

describe('a run', () => {
  it('is on the queue when it is queued, and its training once it is encoded, however often that is said', async () => {
    await queueRun('r1');
    expect(await last(subjects.work.ingest, IngestWork)).toMatchObject({ datasetId: 'd', runId: 'r1' });
    await runs.startEncoding('r1', 'm', { runId: 'r1', latentsTotal: 3 });
    await runs.startEncoding('r1', 'another', { runId: 'r1', latentsTotal: 4 });
    expect(await runs.get('r1')).toMatchObject({ state: RunState.RUN_STATE_ENCODING, manifest: 'm', encoded: false });
    const queued = { state: RunState.RUN_STATE_QUEUED, encoded: true, leftOut: [2], skipped: 1 };
    for (const leftOut of [[2], []]) {
      await runs.encoded('r1', 1, leftOut);
      expect(await runs.get('r1')).toMatchObject(queued);
    }
    await runs.startEncoding('r1', 'another', { runId: 'r1', latentsTotal: 4 });
    expect(await runs.get('r1')).toMatchObject(queued);
    const { state } = await test_.mesh.jsm.streams.info(streams.WORK, { subjects_filter: subjects.work.train });
    expect(state.subjects).toEqual({ [subjects.work.train]: 1 });
    expect(await last(subjects.work.train, TrainWork)).toMatchObject({ runId: 'r1', manifest: 'm' });
    const details = (await told(eventFilters.run('r1'))).map(({ detail }) => detail);
    expect(details).toEqual(['encodeSummary', 'runState', 'runState']);
  });

  it('that is over stays as it ended, whatever is said of it afterwards, and its end is told once', async () => {
    await queueRun('r2', { encoded: true, priority: 9 });
    const held = await take('r2', 7);
    await held.finished('herons');
    const before = await runs.get('r2');
    await held.finished('others');
    await runs.failed('r2', 'too late');
    await runs.cancelled('r2');
    await held.training();
    await runs.encoded('r2', 0, []);
    expect((await runs.cancel('r2')).cancelRequested).toBe(false);
    expect(await runs.get('r2')).toEqual(before);
    expect(before).toMatchObject({ state: RunState.RUN_STATE_FINISHED, adapter: 'herons' });
    expect((await told(eventFilters.run('r2'))).map(({ runState }) => runState?.state)).toEqual([
      RunState.RUN_STATE_FINISHED,
    ]);
  });

  it('that is cancelled while nobody has it in hand has ended, and wants no work', async () => {
    await queueRun('r3');
    expect(await runs.wantsWork('r3')).toBe(true);
    expect(await runs.cancel('r3')).toMatchObject({ state: RunState.RUN_STATE_CANCELLED, cancelRequested: true });
    expect(await runs.wantsWork('r3')).toBe(false);
    expect((await runs.get('r3')).state).toBe(RunState.RUN_STATE_CANCELLED);
  });

  it('that is put down tells it each time, and has used up no attempt', async () => {
    await queueRun('r4', { encoded: true, priority: 9 });
    for (const times of [1, 2]) {
      await (await take('r4', 9)).putDown({ preempted: true });
      const waits = { state: RunState.RUN_STATE_QUEUED, inHand: false };
      expect(await runs.get('r4')).toMatchObject({ ...waits, attempts: 0, preemptions: times });
    }
    expect((await told(eventFilters.run('r4'))).map(({ runState }) => runState?.preemptions)).toEqual([1, 2]);
  });

  it('of which nobody knows is not told of', async () => {
    await runs.failed('nobody', 'no reason');
    expect(await told(eventFilters.run('nobody'))).toEqual([]);
    await expect(runs.get('nobody')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

describe('a data set', () => {
  const queue = (id: string) =>
    datasets.queue(Dataset.create({ id, name: id, state: DatasetState.DATASET_STATE_UPLOADED }));
  /** Manifests are named by what they hold, and it is by that name that an end is told once. */
  const read = (id: string): ReadDataset => ({
    manifest: `${id}.manifest`,
    samples: 3,
    duplicates: 0,
    rejected: [],
    pictures: 3,
    leftOut: 0,
    notes: [],
  });

  it('that was cancelled is not read any more, nor failed', async () => {
    await queue('d1');
    await datasets.cancel('d1');
    expect((await datasets.ingested('d1', read('d1'))).state).toBe(DatasetState.DATASET_STATE_CANCELLED);
    expect((await datasets.failed('d1', 'x'))?.state).toBe(DatasetState.DATASET_STATE_CANCELLED);
    expect((await told(eventFilters.dataset('d1'))).map(({ detail }) => detail)).toEqual(['datasetState']);
  });

  it('either has the run that waits when it ends, or the run finds that it is over: never neither', async () => {
    for (let round = 0; round < 20; round++) {
      const id = `race-${round}`;
      await queue(id);
      const ending = [() => datasets.ingested(id, read(id)), () => datasets.failed(id, 'x'), () => datasets.cancel(id)][
        round % 3
      ]!;
      const [waits] = await Promise.all([datasets.keepWaiting(id, 'r'), ending()]);
      expect((await datasets.find(id))?.waitingRuns).toEqual(waits ? ['r'] : []);
    }
    expect(await datasets.keepWaiting('race-0', 'late')).toBe(false);
    expect(await datasets.keepWaiting('never-uploaded', 'r')).toBe(false);
  });

  it('that was read stays usable, whatever fails or is cancelled afterwards', async () => {
    await queue('d2');
    await datasets.ingested('d2', read('d2'));
    await datasets.failed('d2', 'x');
    await datasets.cancel('d2');
    expect(await datasets.find('d2')).toMatchObject({ state: DatasetState.DATASET_STATE_INGESTED, samples: 3 });
    expect((await told(eventFilters.dataset('d2'))).map(({ detail }) => detail)).toEqual(['datasetIngested']);
  });
});

it('a drawing that is over stays as it ended', async () => {
  await generations.queue(
    Generation.create({ id: 'g', work: { id: 'g' }, state: GenerationState.GENERATION_STATE_QUEUED }),
  );
  await generations.running('g', 1);
  await generations.finished('g', ['g/0.png']);
  await generations.failed('g', 'too late');
  await generations.preempted('g');
  expect(await generations.get('g')).toMatchObject({
    state: GenerationState.GENERATION_STATE_FINISHED,
    images: ['g/0.png'],
    preemptions: 0,
  });
});
