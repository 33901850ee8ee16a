import {
  calls,
  eventFilters,
  Manifest,
  PromptsWork,
  RunState,
  StatusReply,
  streams,
  subjects,
} from '@atelier/contracts';
import { EncodedRuns, Runs } from '@atelier/jobs';
import { createLogger, publishWork } from '@atelier/mesh';
import { EncoderWatch } from '../src/encoder-watch';
import { Harness } from './harness';

let harness: Harness;
let watch: EncoderWatch;
beforeEach(async () => {
  harness = await Harness.withoutService();
  watch = watcher();
});
afterEach(() => harness.stop());

const { RUN_STATE_ENCODING, RUN_STATE_QUEUED } = RunState;

function watcher(): EncoderWatch {
  const { mesh } = harness.test;
  const runs = new Runs(mesh);
  return new EncoderWatch(mesh, runs, new EncodedRuns(mesh, runs), createLogger('test', 'silent'));
}

/** An encoder, as far as it can be seen. */
async function present(service: string): Promise<{ leave(): Promise<void> }> {
  const { nc } = harness.test.mesh;
  const reply = StatusReply.encode({ service, ready: true }).finish();
  const answering = nc.subscribe(calls.status(service).subject, {
    callback: (_error, message) => void message.respond(reply),
  });
  await nc.flush();
  return {
    async leave() {
      answering.unsubscribe();
      await nc.flush();
    },
  };
}

/** A run that waits for its one picture and its one caption. */
async function encoding(id: string): Promise<void> {
  const { mesh } = harness.test;
  const samples = [{ name: 'a.png', latentsKey: 'l', promptsKey: 'p' }];
  await harness.blobs.put('manifests', 'm', Manifest.encode({ samples }).finish());
  await harness.createRun(id, 'd', { state: RUN_STATE_ENCODING, turns: 1, manifest: 'm' });
  const awaiting = { runId: id, turn: 1, manifest: 'm' };
  await new EncodedRuns(mesh, new Runs(mesh)).add('d', awaiting);
}

const run = async (id: string) => (await harness.runs.get(id))!.value;
const told = async (id: string) =>
  (await harness.events(eventFilters.run(id))).map(({ runState }) => runState?.unseenServices);

it('an encoder of which nobody has heard is said, once, by status and by event, and no more when it comes back', async () => {
  const latents = await present('latents');
  await encoding('r1');
  await watch.look();
  expect((await run('r1')).unseenServices).toEqual([]); // it was not away for long enough
  for (let rounds = 0; rounds < 2; rounds++) await watch.look(0.000001);
  expect((await run('r1')).unseenServices).toContain('prompts');
  await present('prompts');
  await watch.look();
  await watch.look();
  expect((await run('r1')).unseenServices).toEqual([]);
  expect((await told('r1')).at(-1)).toEqual([]);
  await latents.leave();
});

it('one that the run does not need is not said', async () => {
  await encoding('r1');
  await harness.tensors.put('latents', 'l', Buffer.from('latents'));
  await watch.look(0);
  expect((await run('r1')).unseenServices).toEqual(['prompts']);
  expect(await told('r1')).toEqual([['prompts']]);
  await watcher().look(); // another, which started just now, knows no better
  expect(await told('r1')).toEqual([['prompts']]);
  await harness.tensors.put('prompts', 'p', Buffer.from('prompts'));
  await watch.look(0);
  expect(await run('r1')).toMatchObject({ state: RUN_STATE_QUEUED, unseenServices: [] });
});

it('a run whose last encoder did not look, being of an older version, is sent on its way', async () => {
  await encoding('r1');
  await harness.tensors.put('latents', 'l', Buffer.from('latents'));
  await harness.tensors.put('prompts', 'p', Buffer.from('prompts'));
  await watch.look();
  expect((await run('r1')).state).toBe(RUN_STATE_QUEUED);
  expect(await harness.trainWork()).toHaveLength(1);
});

it('what a run waits for and nobody is asked for any more is asked for again; what is on its way is not', async () => {
  await encoding('r1');
  const work = PromptsWork.create({ datasetId: 'd', key: 'p' });
  await publishWork(harness.test.mesh, subjects.work.prompts, PromptsWork, work, { msgId: 'p' });
  await harness.tensors.put('latents', 'l', Buffer.from('latents'));
  await watch.look();
  expect(await harness.queued(subjects.work.ingest)).toBe(0);
  await harness.test.mesh.jsm.streams.purge(streams.WORK); // as if it had been given up
  await Promise.all([watch.look(), watcher().look()]);
  expect(await harness.queued(subjects.work.ingest)).toBe(1);
});

it('trouble with one data set keeps nobody from looking after the others', async () => {
  await encoding('r1');
  await harness.tensors.put('latents', 'l', Buffer.from('latents'));
  await harness.tensors.put('prompts', 'p', Buffer.from('prompts'));
  await new EncodedRuns(harness.test.mesh, new Runs(harness.test.mesh)).add('c', { runId: 'r0', turn: 1 });
  const look = jest.spyOn(EncodedRuns.prototype, 'look').mockRejectedValueOnce(new Error('a slow disk'));
  await watch.look();
  look.mockRestore();
  expect((await run('r1')).state).toBe(RUN_STATE_QUEUED);
});

it('a run that waits, or is in hand, without a message gets one, and none a second', async () => {
  const waits = { state: RUN_STATE_QUEUED, encoded: true, turns: 1 };
  await harness.createRun('in-hand', 'd', { ...waits, inHand: true });
  await harness.createRun('r1', 'd', waits);
  await harness.createRun('r2', 'd', waits);
  for (let rounds = 0; rounds < 3; rounds++) {
    await watch.look();
    expect(await harness.queued(subjects.work.train)).toBe(3);
  }
});
