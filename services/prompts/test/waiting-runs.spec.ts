import { buckets, Manifest, Run, RunState, streams, subjects } from '@atelier/contracts';
import { EncodedRuns, Runs } from '@atelier/jobs';
import { BlobStore, StateStore, TensorStore } from '@atelier/store';
import { waitFor } from '@atelier/testing';
import { Harness } from './harness';

let harness: Harness;
beforeEach(async () => {
  harness = await Harness.start();
});
afterEach(() => harness.stop());

it('a run is queued for a trainer when the last of its captions is encoded or refused, without those that are', async () => {
  const { mesh } = harness.test;
  const good = await harness.caption('a heron');
  const bad = await harness.caption('a boat', { key: 'b'.repeat(64) }); // of another caption
  const samples = [good, bad].map(({ key, name }) => ({ name, latentsKey: 'picture', promptsKey: key }));
  await new TensorStore(mesh).put('latents', samples[0]!.latentsKey, Buffer.from('there already'));
  await new BlobStore(mesh).put(buckets.blobs.manifests, 'm', Manifest.encode({ samples }).finish());
  const runs = new StateStore(mesh, buckets.state.runs, Run);
  await runs.create('r1', Run.create({ id: 'r1', state: RunState.RUN_STATE_ENCODING, turns: 1, manifest: 'm' }));
  await new EncodedRuns(mesh, new Runs(mesh)).add('d1', { runId: 'r1', turn: 1, manifest: 'm' });
  const run = async (): Promise<Run> => (await runs.get('r1'))!.value;

  await harness.startService();
  await harness.ask(good);
  await harness.settled();
  expect(await run()).toMatchObject({ state: RunState.RUN_STATE_ENCODING, encoded: false });
  await harness.ask(bad);
  await waitFor('the run to be queued', async () => (await run()).encoded);
  expect(await run()).toMatchObject({ state: RunState.RUN_STATE_QUEUED, leftOut: [1], skipped: 1 });
  const queued = async (): Promise<object | undefined> =>
    (await mesh.jsm.streams.info(streams.WORK, { subjects_filter: '>' })).state.subjects;
  await waitFor('its message alone', async () => JSON.stringify(await queued()) === `{"${subjects.work.train}":1}`);
});
