import { connect, type Socket } from 'node:net';
import { DatasetState, eventSubjects, RunState, streams, type IEvent } from '@atelier/contracts';
import { publishEvent } from '@atelier/mesh';
import { waitFor } from '@atelier/testing';
import { adapterBytes } from './adapter-bytes';
import { postJson, startGateway, type SentEvent, type TestGateway } from './harness';

/** Follows a stream until so many events have come. */
async function take(response: Response, count: number): Promise<SentEvent['data'][]> {
  const seen: SentEvent['data'][] = [];
  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
    text += decoder.decode(chunk, { stream: true });
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const [, id, data] = /^id: (\d+)\ndata: (.*)$/m.exec(text.slice(0, end)) ?? [];
      text = text.slice(end + 2);
      if (data !== undefined) seen.push({ ...(JSON.parse(data) as SentEvent['data']), position: Number(id) });
      if (seen.length === count) return seen;
    }
  }
  return seen;
}

describe('GET /v1/events', () => {
  let gateway: TestGateway;
  beforeAll(async () => {
    gateway = await startGateway({ ATELIER_HEARTBEAT_SECONDS: '0.2' });
  });
  afterAll(() => gateway?.stop());

  const feed = (query: string, headers: Record<string, string> = {}) =>
    fetch(`${gateway.url}/v1/events?${query}`, { headers });
  const tell = (subject: string, event: IEvent) => publishEvent(gateway.mesh, subject, event);
  const run = (id: string, state: RunState) =>
    tell(eventSubjects.run({ id, datasetId: 'd' }, 'state'), { runState: { runId: id, state, error: 'why' } });
  const step = (id: string, number: number) =>
    tell(eventSubjects.run({ id, datasetId: 'd' }, 'step'), { runStep: { runId: id, step: number, totalSteps: 9 } });

  test('has every kind, in order, in one shape; what is internal is left out', async () => {
    const following = await feed('');
    await run('run-a', RunState.RUN_STATE_TRAINING);
    await tell(eventSubjects.webhook('webhook-a', 'ping'), { webhookAsked: { webhookId: 'webhook-a' } });
    await tell(eventSubjects.dataset('d', 'ingested'), { datasetIngested: { datasetId: 'd', samples: 3 } });
    await tell(eventSubjects.dataset('e', 'state'), {
      datasetState: { datasetId: 'e', state: DatasetState.DATASET_STATE_FAILED, error: 'it is a poem' },
    });
    await tell(eventSubjects.encoder('latents', 'k', 'ready', 'd'), { encodeReady: { key: 'k', name: 'a.png' } });
    await tell(eventSubjects.deadLetter(7), { deadLetter: { subject: 'work.train', reason: 'no memory' } });
    const put = {
      method: 'PUT',
      body: adapterBytes() as BodyInit,
      headers: { 'content-type': 'application/octet-stream' },
    };
    await fetch(`${gateway.url}/v1/adapters/ink`, put);
    const rename = { method: 'PATCH', body: '{"name":"pen"}', headers: { 'content-type': 'application/json' } };
    await fetch(`${gateway.url}/v1/adapters/ink`, rename);
    await fetch(`${gateway.url}/v1/adapters/pen`, { method: 'DELETE' });
    const time = expect.any(String) as string;
    expect(await take(following, 8)).toMatchObject([
      { kind: 'run', id: 'run-a', type: 'status', status: 'training', time },
      { kind: 'dataset', id: 'd', type: 'ingested', samples: 3, time },
      { kind: 'dataset', id: 'e', type: 'failed', message: 'it is a poem', time },
      { kind: 'latents', id: 'k', type: 'encoded', name: 'a.png', time },
      { kind: 'work', id: '7', type: 'given_up', subject: 'work.train', reason: 'no memory', time },
      { kind: 'adapter', id: 'ink', type: 'imported', time },
      { kind: 'adapter', id: 'pen', type: 'renamed', former_name: 'ink', time },
      { kind: 'adapter', id: 'pen', type: 'deleted', time },
    ]);
  });

  test('lets through a kind, a thing, types; and goes on after the last that came', async () => {
    for (const number of [1, 2]) await step('run-b', number);
    await step('run-c', 1);
    await run('run-c', RunState.RUN_STATE_FAILED);
    await run('run-b', RunState.RUN_STATE_FINISHED);
    const told = async (query: string, count: number, headers = {}) => take(await feed(query, headers), count);
    const shape = ({ id, type }: SentEvent['data']) => `${String(id)} ${String(type)}`;
    const ofB = await told('from=start&kind=run&id=run-b', 3);
    expect(ofB.map(shape)).toEqual(['run-b step', 'run-b step', 'run-b finished']);
    const ends = await told('from=start&type=finished,failed', 3);
    expect(ends.map(shape)).toEqual(['e failed', 'run-c failed', 'run-b finished']);
    const rest = await told('id=run-b', 2, { 'last-event-id': String(ofB[0]!.position) });
    expect(rest.map(shape)).toEqual(['run-b step', 'run-b finished']);
    expect((await told(`kind=run&type=finished&after=${String(ends[1]!.position)}`, 1)).map(shape)).toEqual([
      'run-b finished',
    ]);
  });

  test.each(['kind=poem', 'id=a.b', 'id=*', 'after=x', 'from=tomorrow'])('?%s is refused', async (query) => {
    expect((await feed(query)).status).toBe(400);
  });

  // What a socket takes before its reader must read is some 4 MB, so that a few are told much rather than all of them.
  test('200 streams that nobody reads take little, and those that are told much are hung up on; others go on', async () => {
    const [quiet, flooded, told] = [180, 20, 700]; // 21 MB for each that is flooded, 420 MB in all
    const sockets = await Promise.all(
      Array.from({ length: quiet + flooded }, (_, nth) => unread(gateway.url, nth < quiet ? 'run-e' : 'run-d')),
    );
    const consumers = async () => (await gateway.mesh.jsm.streams.info(streams.EVENTS)).state.consumer_count;
    await waitFor('all to be followed', async () => (await consumers()) >= quiet + flooded);
    const prompt = 'a very long prompt '.repeat(1600);
    const before = memory();
    const sample = (number: number) => ({ runId: 'run-d', step: number, prompt, image: 'x.png' });
    const subject = eventSubjects.run({ id: 'run-d', datasetId: 'd' }, 'sample');
    await Promise.all(Array.from({ length: told }, (_, number) => tell(subject, { runSample: sample(number) })));
    const reader = await feed('from=start&id=run-d');
    expect(await take(reader, told)).toHaveLength(told);
    expect(memory() - before).toBeLessThan(250e6);
    await waitFor('the flooded to be hung up on', async () => (await consumers()) < quiet + 10);
    expect(await consumers()).toBeGreaterThanOrEqual(quiet);
    for (const socket of sockets) socket.destroy();
    expect((await postJson(`${gateway.url}/v1/finetunes`, { dataset: 'none' })).status).toBe(404);
  });
});

/** Of this process: the gateway's is the same one. */
const memory = (): number => process.memoryUsage().rss;

async function unread(url: string, id: string): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  await new Promise<void>((resolve) => socket.once('connect', resolve));
  socket.write(`GET /v1/events?id=${id} HTTP/1.1\r\nhost: localhost\r\n\r\n`);
  return socket.on('error', () => undefined).pause();
}
