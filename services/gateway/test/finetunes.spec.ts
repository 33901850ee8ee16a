import { eventSubjects, RunState } from '@atelier/contracts';
import { publishEvent } from '@atelier/mesh';
import { waitFor } from '@atelier/testing';
import { runView } from '../src/finetunes/finetune.view';
import { FAKE_PICTURE, playServices } from './fake-services';
import { form, postJson, readEvents, startGateway, type Body, type TestGateway } from './harness';

type Refusal = { error: { message: string; param: string | null; details?: Record<string, string> } };

describe('fine-tunes', () => {
  let gateway: TestGateway;
  let services: { stop(): Promise<void> } | undefined;

  beforeAll(async () => {
    gateway = await startGateway({ ATELIER_HEARTBEAT_SECONDS: '0.2' });
    const response = await fetch(`${gateway.url}/v1/datasets`, {
      method: 'POST',
      body: form({ name: 'herons', width: '64', height: '64' }, { 'a.png': 'x' }),
    });
    expect(response.status).toBe(202);
  });
  afterEach(async () => {
    await services?.stop();
    services = undefined;
  });
  afterAll(() => gateway?.stop());

  const start = (body: unknown) => postJson(`${gateway.url}/v1/finetunes`, body);
  const events = (id: string, headers: Record<string, string> = {}) =>
    fetch(`${gateway.url}/v1/finetunes/${id}/events`, { headers });

  async function started(body: Record<string, unknown>): Promise<{ id: string; name: string; dataset: string }> {
    const response = await start({ dataset: 'herons', ...body });
    expect(response.status).toBe(202);
    return runView.parse(await response.json());
  }

  test('a run is started as the studio page starts it, and followed to its end', async () => {
    services = playServices(gateway.mesh);
    const run = await started({ name: 'first', steps: 3, rank: 2, alpha: 2, learning_rate: 1e-3 });
    const { events: all } = await readEvents(await events(run.id));
    expect(all.map(({ data }) => data.type)).toEqual(['status', 'step', 'step', 'step', 'sample', 'finished']);
    const about = { kind: 'run', id: run.id, time: expect.any(String) };
    expect(all[0]!.data).toEqual({ ...about, type: 'status', status: 'training', preemptions: 3, waits_for: null });
    expect(all[1]!.data).toMatchObject({ step: 1, total_steps: 3, loss: 1, learning_rate: 1e-4, eta_seconds: 2 });
    const picture = await fetch(gateway.url + String(all[4]!.data.url));
    expect(picture.headers.get('content-type')).toBe('image/png');
    expect(Buffer.from(await picture.arrayBuffer()).equals(FAKE_PICTURE)).toBe(true);

    const over = runView.parse(await (await fetch(`${gateway.url}/v1/finetunes/first`)).json());
    expect(over).toMatchObject({
      id: run.id,
      status: 'finished',
      attempts: 1,
      preemptions: 3,
      step: 3,
      total_steps: 3,
      adapter: 'first',
      options: { rank: 2, alpha: 2, learning_rate: 1e-3, total_steps: 3 },
    });
    const list = (await (await fetch(`${gateway.url}/v1/finetunes`)).json()) as { data: unknown[] };
    expect(list.data).toContainEqual(over);

    const third = all[2]!;
    const again = await readEvents(await events(run.id, { 'last-event-id': String(third.id) }));
    expect(again.events).toEqual(all.slice(3));
    const byQuery = await readEvents(await fetch(`${gateway.url}/v1/finetunes/${run.id}/events?after=${third.id}`));
    expect(byQuery.events).toEqual(all.slice(3));
    expect((await events(run.id, { 'last-event-id': String(all.at(-1)!.id) })).status).toBe(204);
  });

  test('a run with a held-out share tells its losses, its pictures and its adapters by step, which are there by their names', async () => {
    services = playServices(gateway.mesh);
    const run = await started({ name: 'scored', steps: 4, held_out: 0.5 });
    const { events: all } = await readEvents(await events(run.id));
    const scored = all.map(({ data }) => data).filter(({ type }) => type === 'held_out');
    expect(scored).toMatchObject([
      { step: 0, loss: 0.9, samples: 1 },
      { step: 4, loss: 0.6, samples: 1 },
    ]);
    const json = async (path: string): Promise<unknown> => (await fetch(`${gateway.url}/v1/${path}`)).json();
    expect(await json('finetunes/scored')).toMatchObject({
      held_out: [
        { step: 0, loss: 0.9 },
        { step: 4, loss: 0.6 },
      ],
      held_out_samples: 1,
      best_step: 4,
      stopped_early: false,
    });
    expect(await json('finetunes/scored/adapters')).toMatchObject({
      data: [
        { step: 2, name: 'scored@2', held_out_loss: null, best: false },
        { step: 4, name: 'scored', held_out_loss: 0.6, best: true },
      ],
    });
    expect(await json('finetunes/scored/pictures')).toMatchObject({
      step: 4,
      data: [
        { name: 'b.png', loss: 1.4, standing: 'stuck', caption_gain: null },
        { name: 'a.png', loss: 0.9, standing: 'learnt' },
      ],
    });
    const file = await fetch(`${gateway.url}/v1/adapters/scored@2`);
    expect(file.headers.get('content-disposition')).toContain('scored@2.safetensors');
    expect((await file.arrayBuffer()).byteLength).toBeGreaterThan(0);
    const drawn = await postJson(`${gateway.url}/v1/images/generations`, {
      prompt: 'x',
      model: 'scored@2',
      size: '64x64',
    });
    expect(drawn.status).toBe(200);
    const other = await postJson(`${gateway.url}/v1/images/generations`, {
      prompt: 'x',
      model: 'scored@3',
      size: '64x64',
    });
    expect(other.status).toBe(404);
  });

  test.each([
    [{ keep: 'best' }, 'keep'],
    [{ patience: 3 }, 'patience'],
    [{ held_out: 0.1, held_out_every: 1, steps: 5000 }, 'held_out_every'],
  ])('%j is refused with the remedy', async (body, param) => {
    const response = await start({ dataset: 'herons', ...body });
    expect(response.status).toBe(400);
    expect(((await response.json()) as Refusal).error.details).toHaveProperty(param);
  });

  test('a quiet stream is kept open by comments, and events come as they happen', async () => {
    const run = await started({ name: 'quiet', steps: 1 });
    const fail = (): Promise<void> =>
      publishEvent(gateway.mesh, eventSubjects.run({ id: run.id, datasetId: run.dataset }, 'state'), {
        runState: { runId: run.id, state: RunState.RUN_STATE_FAILED, error: 'no memory' },
      });
    const { events: all, comments } = await readEvents(await events(run.id), {
      onComment: (count) => void (count === 2 && fail()),
    });
    expect(comments.length).toBeGreaterThanOrEqual(2);
    expect(all.map(({ data }) => data)).toMatchObject([{ kind: 'run', type: 'failed', message: 'no memory' }]);
  });

  test('a reader who leaves takes its subscription along', async () => {
    const run = await started({ name: 'leaver', steps: 1 });
    const consumers = async (): Promise<number> => (await gateway.mesh.jsm.streams.info('EVENTS')).state.consumer_count;
    await waitFor('earlier readers to be gone', async () => (await consumers()) === 0);
    const leave = new AbortController();
    const response = await fetch(`${gateway.url}/v1/finetunes/${run.id}/events`, { signal: leave.signal });
    expect(response.status).toBe(200);
    await waitFor('the subscription', async () => (await consumers()) === 1);
    leave.abort();
    await waitFor('its end', async () => (await consumers()) === 0);
  });

  test('a recipe fills in what a body leaves out, and a run says which it was and what to know of it', async () => {
    const run = await started({ name: 'in-a-style', recipe: 'style', rank: 8, dataset: 'herons' });
    const told = { rank: 8, alpha: 8, total_steps: 2000, timestep_sampling: 'sigmoid', lr_schedule: 'cosine' };
    expect(run).toMatchObject({ recipe: 'style', options: { recipe: 'style', ...told } });
    const usual = await started({ name: 'as-ever', validation_prompts: ['a heron'], steps: 30 });
    expect(usual).toMatchObject({ recipe: 'seed', warnings: [], options: { rank: 4, validate_every: 30 } });
    const idle = await started({ name: 'undrawn', validation_prompts: ['a heron'], validate_every: 0, steps: 30 });
    expect(idle).toMatchObject({
      warnings: [expect.stringMatching(/^validate_every is 0, so the validation prompts/)],
    });
    const refused = await start({ dataset: 'herons', name: 'idle', huber_c: 0.2 });
    expect(((await refused.json()) as Refusal).error.details).toEqual({
      huber_c: expect.stringMatching(/only where loss_type is/),
    });
  });

  test('cancel is noted', async () => {
    const run = await started({ name: 'stopped', steps: 1 });
    const response = await fetch(`${gateway.url}/v1/finetunes/${run.id}/cancel`, { method: 'POST' });
    expect(response.status).toBe(202);
    expect(runView.parse(await response.json()).cancel_requested).toBe(true);
  });

  test('every bad field is named at once, and unknown ones are refused', async () => {
    const response = await start({
      dataset: 'herons',
      rank: 0,
      optimizer: 'sgd',
      learning_rate: '1e-4',
      lr: 1,
      validation_prompts: [''],
    });
    expect(response.status).toBe(400);
    const { error } = (await response.json()) as Refusal;
    expect(Object.keys(error.details ?? {}).sort()).toEqual([
      'learning_rate',
      'lr',
      'optimizer',
      'rank',
      'validation_prompts.0',
    ]);
    for (const field of Object.keys(error.details ?? {})) expect(error.message).toContain(field);
  });

  test.each<[string, unknown, number, RegExp]>([
    ['no data set', {}, 400, /dataset/],
    ['a list', [], 400, /body/],
    ['text', 'herons', 400, /./],
    ['an unknown data set', { dataset: 'nope' }, 404, /no data set "nope"/],
    ['a name that is none', { dataset: 'herons', name: '../x' }, 400, /lower-case letters/],
    ['steps said twice', { dataset: 'herons', steps: 3, total_steps: 4 }, 400, /steps and total_steps differ/],
  ])('%s is refused', async (_what, body, status, reason) => {
    const response = await start(body);
    expect(response.status).toBe(status);
    expect(((await response.json()) as Refusal).error.message).toMatch(reason);
  });

  test.each<[string, Body | undefined, Record<string, string>, number, RegExp]>([
    ['no body', undefined, {}, 400, /missing/],
    ['malformed JSON', '{"dataset":', { 'content-type': 'application/json' }, 400, /not JSON/],
    [
      'a body of 2 MB',
      JSON.stringify({ dataset: 'x'.repeat(2e6) }),
      { 'content-type': 'application/json' },
      413,
      /too large/,
    ],
  ])('%s is refused in the shape of OpenAI', async (_what, body, headers, status, reason) => {
    const response = await fetch(`${gateway.url}/v1/finetunes`, { method: 'POST', body, headers });
    expect(response.status).toBe(status);
    expect(await response.json()).toEqual({
      error: {
        type: 'invalid_request_error',
        code: expect.any(String),
        param: null,
        message: expect.stringMatching(reason),
      },
    });
  });

  test('a name that is taken is refused, with what to do', async () => {
    await started({ name: 'taken', steps: 1 });
    const response = await start({ dataset: 'herons', name: 'taken' });
    expect(response.status).toBe(409);
    expect(((await response.json()) as Refusal).error.message).toMatch(
      /wait for it, cancel it, or choose another name/,
    );
  });

  test.each(['nope', '..%2fx', '*', '%3e'])('run %s is not found: state, events and cancel alike', async (id) => {
    expect((await fetch(`${gateway.url}/v1/finetunes/${id}`)).status).toBe(404);
    expect((await events(id)).status).toBe(404);
    expect((await fetch(`${gateway.url}/v1/finetunes/${id}/cancel`, { method: 'POST' })).status).toBe(404);
  });

  test.each(['abc', '-1', '1e9', '9'.repeat(30)])('an event id of %j is refused', async (id) => {
    expect((await events('herons', { 'last-event-id': id })).status).toBe(400);
  });
});
