import { Run, RunState } from '@atelier/contracts';
import { StateStore } from '@atelier/store';
import { runView } from '../src/finetunes/finetune.view';
import { startGateway, type TestGateway } from './harness';

let gateway: TestGateway;
beforeAll(async () => {
  gateway = await startGateway();
  const entries = new StateStore(gateway.mesh, 'runs', Run);
  for (const [at, id] of ['r1', 'r2', 'r3'].entries()) {
    const createdAt = { seconds: 1000 + at, nanos: 0 };
    const waits = { state: RunState.RUN_STATE_QUEUED, encoded: true, turns: 1 };
    await entries.create(id, Run.create({ id, name: id, datasetId: 'd', createdAt, ...waits }));
  }
});
afterAll(() => gateway?.stop());

const ask = (path: string, method: string, body?: unknown): Promise<Response> =>
  fetch(`${gateway.url}/v1/finetunes/${path}`, {
    method,
    headers: { 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
const asked = async (...of: Parameters<typeof ask>) => runView.parse(await (await ask(...of)).json());
async function places(): Promise<Record<string, number | null>> {
  const { data } = (await (await fetch(`${gateway.url}/v1/finetunes`)).json()) as { data: unknown[] };
  return Object.fromEntries(data.map((run) => runView.parse(run)).map(({ id, place }) => [id, place]));
}

test('runs that wait for a trainer tell their places, which a priority changes', async () => {
  expect(await places()).toEqual({ r1: 1, r2: 2, r3: 3 });
  expect(await asked('r3', 'PATCH', { priority: 5 })).toMatchObject({ status: 'queued', priority: 5, place: 1 });
  expect(await places()).toEqual({ r1: 2, r2: 3, r3: 1 });
  expect(await asked('r3', 'GET')).toMatchObject({ priority: 5, place: 1 });
});

test('a run is paused and resumed, and twice is once', async () => {
  for (let times = 0; times < 2; times++)
    expect(await asked('r1/pause', 'POST')).toMatchObject({ status: 'paused', place: null, pause_requested: false });
  expect(await places()).toEqual({ r1: null, r2: 2, r3: 1 });
  for (let times = 0; times < 2; times++)
    expect(await asked('r1/resume', 'POST')).toMatchObject({ status: 'queued', place: 2 });
});

test('a paused run can be cancelled', async () => {
  await ask('r2/pause', 'POST');
  expect(await asked('r2/cancel', 'POST')).toMatchObject({ status: 'cancelled' });
  expect(await asked('r2/resume', 'POST')).toMatchObject({ status: 'cancelled' });
});

test.each<[string, string, string, unknown, number]>([
  ['a priority that is none', 'r1', 'PATCH', { priority: 1.5 }, 400],
  ['one beyond the range', 'r1', 'PATCH', { priority: 101 }, 400],
  ['nothing', 'r1', 'PATCH', {}, 400],
  ['another field', 'r1', 'PATCH', { priority: 1, state: 'finished' }, 400],
  ['an unknown run', 'nope', 'PATCH', { priority: 1 }, 404],
  ['an unknown run to pause', 'nope/pause', 'POST', undefined, 404],
  ['an unknown run to resume', 'nope/resume', 'POST', undefined, 404],
])('%s is refused', async (_what, path, method, body, status) => {
  expect((await ask(path, method, body)).status).toBe(status);
});
