// Data sets that are put down: cancelled by a person, or because the service stops.
import { readdir } from 'node:fs/promises';
import sharp from 'sharp';
import { DatasetState, RunState, streams, subjects } from '@atelier/contracts';
import { waitFor } from '@atelier/testing';
import { childrenOf } from './children';
import { Harness, type Files } from './harness';

let harness: Harness;
let slow: Files;
let good: Files;

beforeAll(async () => {
  const picture = (side: number) => sharp({ create: { width: side, height: side, channels: 3, background: 'teal' } });
  // Each takes a second or more to decode.
  const webp = await picture(9000).webp({ effort: 0 }).toBuffer();
  slow = Object.fromEntries(
    Array.from({ length: 60 }, (_, at) => [`${at}.webp`, Buffer.concat([webp, Buffer.from([at])])]),
  );
  good = { 'good.png': await picture(64).png().toBuffer(), 'good.txt': 'good' };
});
beforeEach(async () => {
  harness = await Harness.start();
});
afterEach(() => harness.stop());

const readers = () => childrenOf(process.pid).length - servers;
let servers = 0;
beforeEach(() => {
  servers = childrenOf(process.pid).length;
}); // the nats-server is a child as well

const reading = (count = 1) => waitFor('a reader at work', () => readers() === count);
const nothingLeft = () =>
  waitFor(
    'reader and folder to be gone',
    async () => readers() === 0 && (await readdir(harness.folder)).length === 0,
    1000,
  );

async function queued(): Promise<number> {
  const { state } = await harness.test.mesh.jsm.streams.info(streams.WORK, { subjects_filter: subjects.work.ingest });
  return state.subjects?.[subjects.work.ingest] ?? 0;
}

it('cancelled while it is read: within a second nothing of it is left, and the run that waits for it fails with the reason', async () => {
  await harness.upload('d1', slow, { trigger: 'x' });
  await harness.createRun('r1', 'd1');
  await harness.ask('d1');
  await harness.ask('d1', 'r1');
  await reading();
  await harness.cancel('d1');
  await nothingLeft();
  await waitFor('the queue to be empty', async () => (await queued()) === 0);
  expect((await harness.datasets.get('d1'))?.value).toMatchObject({
    state: DatasetState.DATASET_STATE_CANCELLED,
    samples: 0,
  });
  expect((await harness.runs.get('r1'))?.value).toMatchObject({
    state: RunState.RUN_STATE_FAILED,
    error: 'data set d1: it was cancelled before it was read: add it again',
  });
  const told = await harness.events('events.dataset.d1.state');
  expect(told.map(({ datasetState }) => datasetState)).toEqual([
    expect.objectContaining({ datasetId: 'd1', state: DatasetState.DATASET_STATE_CANCELLED }),
  ]);
  expect(await harness.deadLetters()).toEqual([]);
});

it('cancelled while it waits for its turn, or before any service knew of it: it is never read', async () => {
  await harness.upload('busy-1', slow, { trigger: 'x' });
  await harness.upload('busy-2', slow, { trigger: 'x' });
  await harness.upload('waits', good);
  await harness.ask('busy-1');
  await harness.ask('busy-2');
  await reading(2);
  await harness.ask('waits');
  await harness.cancel('waits');
  await waitFor('its work to be over', async () => (await queued()) === 2);
  await harness.cancel('busy-1');
  await harness.cancel('busy-2');
  await harness.stopService();
  await harness.upload('unknown', good);
  await harness.ask('unknown');
  await harness.cancel('unknown');
  await harness.startService();
  await waitFor('the queue to be empty', async () => (await queued()) === 0);
  for (const id of ['waits', 'unknown'])
    expect((await harness.datasets.get(id))?.value).toMatchObject({
      state: DatasetState.DATASET_STATE_CANCELLED,
      samples: 0,
    });
});

it('two are read at once, the others wait; a run on one that was read waits for none of them', async () => {
  await harness.upload('read', good);
  await harness.ingest('read');
  for (const id of ['busy-1', 'busy-2', 'busy-3']) {
    await harness.upload(id, slow, { trigger: 'x' });
    await harness.ask(id);
  }
  await reading(2);
  await harness.createRun('r1', 'read');
  await harness.ask('read', 'r1');
  await waitFor(
    'the run to go on',
    async () => (await harness.runs.get('r1'))?.value.state === RunState.RUN_STATE_ENCODING,
  );
  expect(readers()).toBe(2);
  await harness.cancel('busy-1');
  await waitFor('the third to be read', async () => (await readdir(harness.folder)).length === 2 && readers() === 2);
  for (const id of ['busy-2', 'busy-3']) await harness.cancel(id);
  await nothingLeft();
});

it('one that is asked for twice at once is read once', async () => {
  const captions = Object.fromEntries(
    Object.keys(slow)
      .slice(0, 2)
      .map((name) => [name, slow[name]!]),
  );
  await harness.upload('d1', captions, { trigger: 'x' });
  await harness.createRun('r1', 'd1');
  await harness.ask('d1');
  await harness.ask('d1', 'r1');
  let most = 0;
  await waitFor(
    'both to be over',
    async () => {
      most = Math.max(most, readers());
      return (await queued()) === 0;
    },
    60_000,
  );
  expect(most).toBe(1);
  expect((await harness.runs.get('r1'))?.value.state).toBe(RunState.RUN_STATE_ENCODING);
  expect(await harness.events('events.dataset.d1.ingested')).toHaveLength(1);
});

it('a service that stops puts it down at once, and the next one reads it', async () => {
  await harness.upload('d1', { ...slow, ...good }, { trigger: 'x' });
  await harness.ask('d1');
  await reading();
  const asked = performance.now();
  await harness.stopService();
  expect(performance.now() - asked).toBeLessThan(20_000);
  await nothingLeft();
  expect((await harness.datasets.get('d1'))?.value.state).toBe(DatasetState.DATASET_STATE_UPLOADED);
  await harness.startService();
  await reading();
  await harness.cancel('d1');
  await nothingLeft();
});
