import { Run } from '@atelier/contracts';
import { StateStore } from '@atelier/store';
import { startTestMesh, type TestMesh } from '@atelier/testing';

let test_: TestMesh;
beforeAll(async () => (test_ = await startTestMesh()));
afterAll(() => test_.stop());

test('an entry that cannot be read is left out of the list, and said to whoever asks for it', async () => {
  const store = new StateStore(test_.mesh, 'runs', Run);
  await store.create('run-a', Run.create({ id: 'run-a' }));
  await (await test_.mesh.js.views.kv('runs')).put('run-b', Buffer.from([0xff, 0xff, 0xff]));
  expect((await store.list()).map(({ id }) => id)).toEqual(['run-a']);
  await expect(store.get('run-b')).rejects.toMatchObject({
    code: 'DATA_LOSS',
    message: 'runs has run-b, but what it holds cannot be read: delete it',
  });
});

test('it is taken away as anything is, without being judged, and leaves nothing', async () => {
  const store = new StateStore(test_.mesh, 'runs', Run);
  await (await test_.mesh.js.views.kv('runs')).put('run-c', Buffer.from([0xff, 0xff, 0xff]));
  const judged = jest.fn();
  expect(await store.take('run-c', judged)).toEqual(Run.create());
  expect(judged).not.toHaveBeenCalled();
  expect([await store.get('run-c'), await store.take('run-c', judged)]).toEqual([null, null]);
  expect(await store.keys()).not.toContain('run-c');
});
