// Data sets and prepared pictures that go while ingest has to do with them.
import sharp from 'sharp';
import { subjects } from '@atelier/contracts';
import { Deletion } from '@atelier/jobs';
import { waitFor } from '@atelier/testing';
import { Manifests } from '../src/manifests';
import { Harness, type Files } from './harness';

let harness: Harness;
let files: Files;
beforeAll(async () => {
  const picture = sharp({ create: { width: 64, height: 64, channels: 3, background: 'teal' } });
  files = { 'a.png': await picture.png().toBuffer(), 'a.txt': 'teal' };
});
beforeEach(async () => (harness = await Harness.start()));
afterEach(() => harness.stop());

test('a data set that was deleted before it was read is no work any more, and nothing went wrong', async () => {
  await harness.upload('d1', files);
  expect(await new Deletion(harness.test.mesh).dataset('d1')).toMatchObject({ id: 'd1' });
  await harness.ask('d1');
  await waitFor('the queue to be empty', async () => (await harness.queued(subjects.work.ingest)) === 0);
  expect(await harness.deadLetters()).toEqual([]);
});

test('prepared pictures that are cleared between reading and asking are prepared once more', async () => {
  await harness.upload('d1', files);
  const prepared = async (): Promise<string[]> =>
    (await harness.blobs.names('pictures')).filter((name) => name.startsWith('prepared/'));
  const save = Manifests.prototype.save;
  let cleared = 0;
  const saving = jest.spyOn(Manifests.prototype, 'save').mockImplementation(async function (this: Manifests, ...given) {
    const stored = await save.apply(this, given);
    for (const name of cleared === 0 ? await prepared() : []) {
      await harness.blobs.delete('pictures', name);
      cleared += 1;
    }
    return stored;
  });
  try {
    expect(await harness.ingest('d1')).toMatchObject({ samples: 1 });
    expect(cleared).toBe(1);
    expect(await prepared()).toEqual((await harness.latentsWork()).map(({ picture }) => picture));
    expect(await prepared()).toHaveLength(1);
  } finally {
    saving.mockRestore();
  }
});
