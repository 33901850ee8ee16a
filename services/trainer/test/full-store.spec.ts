import { calls, RunState, StoreReply, streams } from '@atelier/contracts';
import { callService } from '@atelier/mesh';
import { waitFor } from '@atelier/testing';
import { Harness } from './harness';

const MiB = 1024 ** 2;
const OPTIONS = { totalSteps: 40, accumulation: 1, checkpointEvery: 5 };

let harness: Harness;
/** What the disk under nats-server still has, as "atelier up" would tell it. */
let freeBytes = 1000 * MiB;
beforeAll(async () => {
  harness = await Harness.start();
  const reply = () =>
    StoreReply.encode({ path: '/data/nats', freeBytes, limitBytes: 1e12, reserveBytes: 40 * MiB }).finish();
  harness.test.mesh.nc.subscribe(calls.room.subject, {
    callback: (_error, message) => void message.respond(reply()),
  });
  await harness.dataset('d', 3);
  await harness.startRun('undisturbed', 'd', OPTIONS);
  await harness.startService();
  await harness.over('undisturbed');
});
afterAll(() => harness.stop());

const status = async (): Promise<string> => (await callService(harness.test.mesh, calls.status('trainer'), {})).detail;

/** A run that is trained to its end, but for its adapter, which has no room. */
async function trained(id: string): Promise<void> {
  freeBytes = 5 * MiB;
  await waitFor('the trainer to see it', async () => (await status()).startsWith('the store is full'));
  await harness.startRun(id, 'd', OPTIONS);
  await harness.reached(id, OPTIONS.totalSteps);
}

test('a run that finds the store full says so, waits with what it has, and comes to the same adapter when there is room', async () => {
  await trained('waits');
  // not one of its states found room, and it trained on
  expect(await harness.trainingState('waits')).toBeNull();
  expect(await status()).toMatch(
    /^trains adapter-waits \(run waits\); the store is full: 5\.0 MiB of .* may still be written to \/data\/nats, and 40\.0 MiB are kept/,
  );
  expect((await harness.run('waits')).state).toBe(RunState.RUN_STATE_TRAINING);

  freeBytes = 1000 * MiB;
  expect(await harness.over('waits')).toMatchObject({
    state: RunState.RUN_STATE_FINISHED,
    step: OPTIONS.totalSteps,
    error: '',
  });
  expect((await harness.adapterBytes('waits')).equals(await harness.adapterBytes('undisturbed'))).toBe(true);
  expect((await harness.test.mesh.jsm.streams.info(streams.DEAD)).state.messages).toBe(0);
});

test('a trainer that is asked to stop while its store is full ends within its grace, and the run goes on elsewhere to the same adapter', async () => {
  await trained('stopped');
  freeBytes = 0;
  const asked = Date.now();
  await harness.stopService();
  expect(Date.now() - asked).toBeLessThan(30_000);
  expect((await harness.run('stopped')).state).toBe(RunState.RUN_STATE_TRAINING);
  expect(await harness.queued()).toBe(1);

  freeBytes = 1000 * MiB;
  await harness.startService();
  await waitFor(
    'the run to be taken up',
    async () =>
      (await harness.run('stopped')).state !== RunState.RUN_STATE_TRAINING ||
      (await harness.events('stopped', 'step')).length > 0,
  );
  expect(await harness.over('stopped', 60_000)).toMatchObject({ state: RunState.RUN_STATE_FINISHED });
  expect((await harness.adapterBytes('stopped')).equals(await harness.adapterBytes('undisturbed'))).toBe(true);
});
