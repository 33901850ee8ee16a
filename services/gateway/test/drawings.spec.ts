import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { buckets, eventSubjects, Generation, GenerationState } from '@atelier/contracts';
import { publishEvent } from '@atelier/mesh';
import { StateStore } from '@atelier/store';
import { waitFor } from '@atelier/testing';
import { playServices } from './fake-services';
import { postJson, readEvents, startGateway, type TestGateway } from './harness';

interface Drawing {
  id: string;
  status: string;
  data: { url: string }[];
  progress: { step: number; total_steps: number } | null;
  cancel_requested: boolean;
}

describe('drawings that nobody waits for', () => {
  let gateway: TestGateway;
  let generations: StateStore<Generation>;
  beforeAll(async () => {
    gateway = await startGateway();
    generations = new StateStore(gateway.mesh, buckets.state.generations, Generation);
  });
  afterAll(() => gateway?.stop());

  const at = (path: string) => `${gateway.url}/v1/images/generations${path}`;
  const body = { prompt: 'a heron', size: '64x64', n: 2 };
  const queue = async (headers: Record<string, string> = {}, extra: object = { async: true }) => {
    const response = await postJson(at(''), { ...body, ...extra }, headers);
    expect(response.status).toBe(202);
    return { response, drawing: (await response.json()) as Drawing };
  };
  const look = async (id: string) => (await (await fetch(at(`/${id}`))).json()) as Drawing;

  test('are answered with 202, their id and where they are, and cancelled before anybody draws them', async () => {
    const { response, drawing } = await queue();
    expect(drawing).toMatchObject({ status: 'queued', data: [], progress: null, cancel_requested: false });
    expect(response.headers.get('location')).toBe(`/v1/images/generations/${drawing.id}`);
    expect(response.headers.get('x-atelier-generation')).toBe(drawing.id);
    expect(response.headers.has('preference-applied')).toBe(false);
    const cancelled = await postJson(at(`/${drawing.id}/cancel`), {});
    expect([cancelled.status, ((await cancelled.json()) as Drawing).cancel_requested]).toEqual([202, true]);
    expect((await fetch(at(`/${drawing.id}`), { method: 'DELETE' })).status).toBe(409);
  });

  test.each(['respond-async', 'wait=5, Respond-Async', 'respond-async; x=1'])(
    'Prefer: %s asks for it',
    async (prefer) => {
      const { response } = await queue({ prefer }, {});
      expect(response.headers.get('preference-applied')).toBe('respond-async');
    },
  );

  test('tell how far they are, as it was told last', async () => {
    const { drawing } = await queue();
    await generations.update(drawing.id, (now) =>
      Generation.create({ ...now, state: GenerationState.GENERATION_STATE_RUNNING }),
    );
    expect((await look(drawing.id)).progress).toBeNull();
    for (const step of [1, 2])
      await publishEvent(gateway.mesh, eventSubjects.generation(drawing.id, 'progress'), {
        generateProgress: { id: drawing.id, step, totalSteps: 56 },
      });
    expect(await look(drawing.id)).toMatchObject({ status: 'running', progress: { step: 2, total_steps: 56 } });
  });

  test('come to their pictures, and their events end with them', async () => {
    const { drawing } = await queue();
    const events = fetch(at(`/${drawing.id}/events`)).then((response) => readEvents(response));
    const services = playServices(gateway.mesh);
    const told = (await events).events.map(({ data }) => data);
    const last = await look(drawing.id);
    expect(told.at(-1)).toEqual({
      kind: 'drawing',
      id: drawing.id,
      type: 'finished',
      time: expect.any(String),
      data: last.data.map(({ url }) => ({ url: url.replace(gateway.url, '') })),
    });
    expect(last).toMatchObject({ status: 'finished', data: [{}, {}] });
    const again = await fetch(at(`/${drawing.id}/events`), { headers: { 'last-event-id': '999999' } });
    expect(again.status).toBe(204);
    await services.stop();
  });

  test('are listed by pages, the newest first, also after one that was deleted', async () => {
    const made: string[] = [];
    for (let count = 0; count < 5; count++) {
      made.unshift((await queue()).drawing.id);
      await waitFor('another millisecond', () => Promise.resolve(Date.now() > idTime(made[0]!)));
    }
    const page = async (query: string) =>
      (await (await fetch(at(query))).json()) as { data: Drawing[]; has_more: boolean };
    const ids = ({ data }: { data: Drawing[] }) => data.map(({ id }) => id);
    const first = await page('?limit=2');
    expect([ids(first), first.has_more]).toEqual([made.slice(0, 2), true]);
    await generations.delete(made[1]!);
    expect(ids(await page(`?limit=2&after=${made[1]}`))).toEqual(made.slice(2, 4));
    expect(ids(await page('?limit=3'))).toEqual([made[0], made[2], made[3]]);
    const all = await page('');
    expect([all.has_more, all.data.length]).toEqual([false, (await generations.list()).length]);
    expect((await fetch(at('?limit=0'))).status).toBe(400);
    const junk = Buffer.from([0xff, 0xff, 0xff]);
    await (await gateway.mesh.js.views.kv(buckets.state.generations)).put(made[0]!, junk);
    expect(ids(await page('?limit=2'))).toEqual(made.slice(2, 4));
  });

  test('asked for with a key, go on when who waited is cut off, and the key finds them', async () => {
    const headers = { 'content-type': 'application/json', 'idempotency-key': 'cut-off' };
    const before = (await generations.keys()).length;
    const cut = httpRequest(at(''), { method: 'POST', headers }).on('error', () => undefined);
    cut.end(JSON.stringify(body));
    const [, answer] = (await once(gateway.app.getHttpServer(), 'request')) as [unknown, NodeJS.EventEmitter];
    await waitFor('the drawing', async () => (await generations.keys()).length === before + 1);
    const left = once(answer, 'close');
    cut.destroy();
    await left;
    const services = playServices(gateway.mesh);
    const response = await waitFor('its turn', async () => {
      const tried = await postJson(at(''), body, headers);
      return tried.status !== 409 && tried;
    });
    const { id } = (await response.json()) as { id: string };
    expect(response.status).toBe(200);
    expect((await generations.get(id))!.value.cancelRequested).toBe(false);
    expect((await generations.keys()).length).toBe(before + 1);
    await services.stop();
  });
});

const idTime = (id: string): number => parseInt(id.slice(4, 13), 36);
