// One whole job as a program does it over HTTP, with every service a process of its own: pictures up, an adapter down, a picture drawn with it.
import { readFileSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { decodeTensors } from '@atelier/checkpoint';
import { SERVICES } from '@atelier/client';
import { syntheticPictures } from '@atelier/testing';
import { Api, Refused, type Files, type Finetune, type RunEvent } from '../support/api';
import { Atelier } from '../support/atelier';
import { documentedMetrics, problemsOfMetrics, scrape } from '../support/metrics';
import { freePorts } from '../support/ports';
import { OF_DRAWING, OF_RUN, parentOf, SpanCollector } from '../support/span-collector';

const TOKEN = 'a-secret-token';
const ALL_SERVICES = [...SERVICES, 'gateway'];
const STEPS = 6;
const TRAINING = {
  steps: STEPS,
  rank: 2,
  learning_rate: 1e-2,
  seed: 7,
  validation_prompts: ['a tomato circle'],
  validate_every: STEPS,
  validation_steps: 2,
};

let atelier: Atelier;
let collector: SpanCollector;
let healthPort: number;
let pictures: Files;

beforeAll(async () => {
  const folder = mkdtempSync(join(tmpdir(), 'job-pictures-'));
  await syntheticPictures(folder, 3);
  pictures = Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))]));
  rmSync(folder, { recursive: true });
  collector = await SpanCollector.start();
  healthPort = await freePorts(ALL_SERVICES.length);
  atelier = await Atelier.start({
    ATELIER_API_TOKEN: TOKEN,
    ATELIER_HEALTH_PORT: String(healthPort),
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint,
    OTEL_BSP_SCHEDULE_DELAY: '200',
  });
});
afterAll(async () => {
  await atelier?.stop();
  await collector?.stop();
});

const ofType = (events: RunEvent[], type: string): RunEvent[] => events.filter((event) => event.type === type);

describe('a job over HTTP', () => {
  let events: RunEvent[];

  test('pictures are uploaded, a fine-tune is followed to its end, and its state agrees with its events', async () => {
    const dataset = await atelier.api.upload({ name: 'shapes' }, pictures);
    expect(dataset).toMatchObject({ status: 'uploaded', files: 6 });
    const run = await atelier.api.finetune({ dataset: 'shapes', ...TRAINING });
    events = await atelier.api.followed(run.id);

    expect(ofType(events, 'encoding')).toMatchObject([
      { type: 'encoding', latents_total: 3, latents_cached: 0, prompts_total: 3, prompts_cached: 0 },
    ]);
    expect(
      ofType(events, 'encoded')
        .map(({ kind, name }) => `${String(kind)} ${String(name)}`)
        .sort(),
    ).toEqual(['latents', 'prompts'].flatMap((kind) => [0, 1, 2].map((at) => `${kind} picture-0${at}.png`)));
    expect(ofType(events, 'planned')).toEqual([expect.objectContaining({ total_bytes: expect.any(Number) })]);
    expect(ofType(events, 'step').map(({ step }) => step)).toEqual(Array.from({ length: STEPS }, (_, at) => at + 1));
    expect(events.at(-1)).toMatchObject({ type: 'finished', message: '' });

    const over = await atelier.api.json<Finetune>(`/v1/finetunes/${run.id}`);
    expect(over).toMatchObject({
      status: 'finished',
      step: STEPS,
      adapter: 'shapes',
      loss: ofType(events, 'step').at(-1)!['loss'],
      error: null,
    });
    const [sample] = ofType(events, 'sample');
    expect(sample).toMatchObject({ step: STEPS, prompt: 'a tomato circle' });
    expect(await sharp(await atelier.api.bytes(String(sample!['url']))).metadata()).toMatchObject({
      format: 'png',
      width: 64,
      height: 64,
    });
    expect(await atelier.api.json('/v1/datasets/shapes')).toMatchObject({
      status: 'ingested',
      samples: 3,
      rejected: [],
    });
  });

  test('the adapter comes down in either spelling, and its up matrices, which start at zero, have learned', async () => {
    const diffusers = decodeTensors(await atelier.api.bytes('/v1/adapters/shapes'));
    const up = Object.entries(diffusers).filter(([name]) => name.endsWith('.lora_B.weight'));
    expect(up.length).toBeGreaterThan(0);
    expect(up.filter(([, { data }]) => !data.some((value) => value !== 0)).map(([name]) => name)).toEqual([]);
    const kohya = decodeTensors(await atelier.api.bytes('/v1/adapters/shapes?format=kohya'));
    const named = (tensors: typeof kohya, ending: string): number =>
      Object.keys(tensors).filter((name) => name.endsWith(ending)).length;
    expect(named(kohya, '.lora_up.weight')).toBeGreaterThan(0);
    expect(named(kohya, '.lora_down.weight')).toBe(named(kohya, '.lora_up.weight'));
    expect(Object.keys(kohya).every((name) => name.startsWith('lora_unet_'))).toBe(true);
  });

  test('a picture is drawn with it in the shape of OpenAI, and is another than the base draws', async () => {
    const draw = async (body: object): Promise<Buffer> => {
      const { data } = await atelier.api.draw({
        prompt: 'a tomato circle',
        size: '64x96',
        seed: 5,
        response_format: 'b64_json',
        ...body,
      });
      expect(data).toHaveLength(1);
      return Buffer.from(data[0]!.b64_json!, 'base64');
    };
    const trained = await draw({ model: 'shapes' });
    expect(await sharp(trained).metadata()).toMatchObject({ format: 'png', width: 64, height: 96 });
    const base = await draw({});
    expect(trained.equals(base)).toBe(false);
    expect((await draw({ model: 'shapes' })).equals(trained)).toBe(true);
    expect((await draw({ adapters: [{ name: 'shapes', weight: 0 }] })).equals(base)).toBe(true);
  });

  test('an address in place of the picture leads to the same bytes', async () => {
    const asked = { prompt: 'a tomato circle', model: 'shapes', n: 2, seed: 5 };
    const inline = await atelier.api.draw({ ...asked, response_format: 'b64_json' });
    const { data } = await atelier.api.draw(asked);
    const pictures = await Promise.all(data.map(({ url }) => atelier.api.bytes(new URL(url!).pathname)));
    expect(pictures.map((bytes) => bytes.toString('base64'))).toEqual(inline.data.map(({ b64_json }) => b64_json));
    expect(pictures[0]!.equals(pictures[1]!)).toBe(false); // each has a seed of its own
  });

  test('the second run over the same pictures encodes nothing, says so, and comes to the same adapter', async () => {
    const before = await encoded();
    await atelier.api.upload({ name: 'shapes-again' }, pictures);
    const run = await atelier.api.finetune({ dataset: 'shapes-again', ...TRAINING });
    const again = await atelier.api.followed(run.id);
    expect(ofType(again, 'encoding')).toMatchObject([
      { type: 'encoding', latents_total: 3, latents_cached: 3, prompts_total: 3, prompts_cached: 3 },
    ]);
    expect(ofType(again, 'encoded')).toEqual([]);
    expect(again.at(-1)).toMatchObject({ type: 'finished', message: '' });
    expect(await encoded()).toEqual(before); // not even asked
    expect(
      (await atelier.api.bytes('/v1/adapters/shapes-again')).equals(await atelier.api.bytes('/v1/adapters/shapes')),
    ).toBe(true);
  });

  test('a run is cancelled in the middle: it ends within a step, and leaves no adapter', async () => {
    const run = await atelier.api.finetune({ dataset: 'shapes', name: 'given-up', steps: 100_000, rank: 2 });
    const seen: RunEvent[] = [];
    for await (const event of atelier.api.follow(run.id)) {
      if (event.type === 'step' && ofType(seen, 'step').length === 0)
        await atelier.api.request(`/v1/finetunes/${run.id}/cancel`, { method: 'POST' });
      seen.push(event);
    }
    expect(seen.at(-1)).toMatchObject({ type: 'cancelled' });
    expect(await atelier.api.json(`/v1/finetunes/${run.id}`)).toMatchObject({
      status: 'cancelled',
      step: ofType(seen, 'step').at(-1)!['step'],
      cancel_requested: true,
      adapter: null,
    });
    await expect(atelier.api.bytes('/v1/adapters/given-up')).rejects.toMatchObject({ status: 404 });
  });

  test('a run is one trace from the request to its last event, though its data set and the encoders woke it', async () => {
    const traces = ['a', 'b'].map((digit) => digit.repeat(32));
    const [uploaded, asked] = traces as [string, string];
    await atelier.api.upload({ name: 'traced' }, pictures, parentOf(uploaded));
    const body = { dataset: 'traced', ...TRAINING, steps: 2, validate_every: 2 };
    const run = await atelier.api.finetune(body, parentOf(asked));
    await atelier.api.followed(run.id);

    const spans = await collector.whole(asked, OF_RUN);
    const training = spans.find(({ name }) => name === 'train run')!;
    expect(training.events).toEqual(['step', 'step']);
    const { header } = await atelier.client.mesh.jsm.streams.getMessage('EVENTS', {
      last_by_subj: `events.run.${run.id}.state.*`,
    });
    const [, traceId, spanId] = header.get('traceparent').split('-');
    const last = spans.find((span) => span.spanId === spanId);
    expect([traceId, last?.service, last?.name.startsWith('publish events.run')]).toEqual([
      asked,
      'atelier-trainer',
      true,
    ]);
  });

  test('a drawing is one trace from the request to its last event', async () => {
    const asked = 'c'.repeat(32);
    await atelier.api.draw({ prompt: 'a new circle', seed: 5 }, parentOf(asked));
    expect(await collector.whole(asked, OF_DRAWING)).toContainEqual(expect.objectContaining({ name: 'draw picture' }));
  });

  test("every service's figures keep to Prometheus' conventions, and want no token on the port of its probes", async () => {
    const metrics = await Promise.all(ALL_SERVICES.map((_, at) => scrape(healthPort + at)));
    expect(metrics.flatMap(problemsOfMetrics)).toEqual([]);
    const builds = metrics.map((all) => all.find(({ name }) => name === 'atelier_build_info')!.labels);
    expect(builds.flatMap((labels) => [...labels.get('service')!]).sort()).toEqual([...ALL_SERVICES].sort());
    expect(builds.every((labels) => labels.get('version')?.has('0.1.0'))).toBe(true);
    const [refused, given] = [await fetch(`${atelier.api.url}/metrics`), await atelier.api.request('/metrics')];
    expect([refused.status, given.status]).toEqual([401, 200]);
    const ours = metrics.flat().flatMap(({ name }) => (name.startsWith('atelier_') ? [name] : []));
    expect([...new Set(ours)].sort()).toEqual(documentedMetrics().sort());
  });

  test('the document describes every route that was used here, and nothing but it and the page is open without the token', async () => {
    const { paths } = (await (await fetch(`${atelier.api.url}/openapi.json`)).json()) as {
      paths: Record<string, unknown>;
    };
    for (const path of [
      '/v1/datasets',
      '/v1/finetunes',
      '/v1/finetunes/{id}',
      '/v1/finetunes/{id}/events',
      '/v1/finetunes/{id}/cancel',
      '/v1/adapters/{name}',
      '/v1/images/generations',
      '/v1/pictures/{name}',
    ])
      expect(paths).toHaveProperty([path]);
    const stranger = new Api(atelier.api.url);
    await expect(stranger.finetune({ dataset: 'shapes' })).rejects.toThrow(Refused);
    expect((await fetch(`${atelier.api.url}/`)).status).toBe(200);
  });

  test('all of it is put in order, counted, swept, renamed and deleted', async () => {
    const post = (path: string): Promise<Response> => atelier.api.request(path, { method: 'POST' });
    const remove = async (path: string): Promise<number> =>
      (await atelier.api.request(path, { method: 'DELETE' })).status;
    const run = await atelier.api.finetune({ dataset: 'shapes', name: 'put-off', steps: 100_000, rank: 2 });
    await post(`/v1/finetunes/${run.id}/pause`);
    await post(`/v1/finetunes/${run.id}/resume`);
    await post(`/v1/finetunes/${run.id}/cancel`);
    for await (const event of atelier.api.follow(run.id)) if (event.type === 'cancelled') break;
    expect(await atelier.api.json('/v1/store')).toMatchObject({
      kinds: expect.arrayContaining([expect.objectContaining({ kind: 'latents', count: 3 })]),
    });
    expect(await (await post('/v1/store/sweep')).json()).toMatchObject({ object: 'sweep', dry_run: false });
    const renamed = { method: 'PATCH', body: '{"name":"forms"}', headers: { 'content-type': 'application/json' } };
    await atelier.api.request('/v1/adapters/shapes', renamed);
    const { data: drawings } = await atelier.api.json<{ data: { id: string }[] }>('/v1/images/generations');
    for (const path of [
      `/v1/finetunes/${run.id}`,
      '/v1/adapters/forms',
      '/v1/datasets/shapes-again',
      `/v1/images/generations/${drawings[0]!.id}`,
    ])
      expect([path, await remove(path)]).toEqual([path, 200]);
  });

  test('no service ended meanwhile, and none was refused what it needs', () => {
    expect(atelier.restarts).toEqual([]);
    expect(atelier.violations).toEqual([]);
  });
});

/** What the encoders say they have done and left undone. */
async function encoded(): Promise<string[]> {
  const states = await atelier.client.status();
  return states
    .filter(({ service }) => ['latents', 'prompts'].includes(service))
    .map(({ service, detail }) => `${service}: ${detail}`);
}
