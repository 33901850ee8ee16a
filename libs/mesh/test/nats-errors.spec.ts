// What the questions say of errors that a real nats-server gave.
import { startTestMesh, type TestMesh } from '@atelier/testing';
import * as questions from '../src/nats-errors';

let test_: TestMesh;
beforeAll(async () => (test_ = await startTestMesh()));
afterAll(() => test_.stop());

const refused = async (ask: Promise<unknown>): Promise<unknown> =>
  ask.then(
    () => {
      throw new Error('it was not refused');
    },
    (error: unknown) => error,
  );

/** The names of the questions that say yes. */
function yes(error: unknown): string[] {
  return Object.entries(questions).flatMap(([name, ask]) => (ask(error) ? [name] : []));
}

test('each is told by its own question, and by no other', async () => {
  const { js, jsm, nc } = test_.mesh;
  await jsm.streams.add({ name: 'MINE', subjects: ['mine.>'], max_msgs: 5 });
  const kv = await js.views.kv('some');
  await kv.create('a', 'x');

  const overlap = jsm.streams.add({ name: 'OTHER', subjects: ['mine.a'] });
  expect(yes(await refused(overlap))).toEqual(['isStreamOverlap']);
  const taken = jsm.streams.add({ name: 'MINE', subjects: ['mine.>'], max_msgs: 6 });
  expect(yes(await refused(taken))).toEqual(['isStreamTaken']);
  expect(yes(await refused(kv.update('a', 'y', 999)))).toEqual(['isConflict']);
  expect(yes(await refused(jsm.streams.getMessage('MINE', { seq: 7 })))).toEqual(['isNotFound']);
  expect(yes(await refused(jsm.streams.info('NONE')))).toEqual(['isNotFound']);

  expect(yes(await refused(nc.request('nobody.here', '', { timeout: 1000 })))).toEqual([
    'hasNoResponders',
    'isMeshAway',
    'isUnanswered',
  ]);
  const silent = nc.subscribe('silent.here');
  expect(yes(await refused(nc.request('silent.here', '', { timeout: 50 })))).toEqual([
    'isMeshAway',
    'isTimeout',
    'isUnanswered',
  ]);
  silent.unsubscribe();
  expect(yes(new Error('of ours'))).toEqual([]);
});
