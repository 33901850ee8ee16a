import { StatusReply, StatusRequest } from '@atelier/contracts';
import { startGateway, type TestGateway } from './harness';

const NOTE = 'the CPU computes although an NVIDIA card is there: no driver';

/** Services that answer as those of a machine whose card has no driver; one of them is not running. */
describe('GET /v1/info', () => {
  let gateway: TestGateway;

  beforeAll(async () => {
    gateway = await startGateway();
    const computing = { device: 'cpu', cardBytes: 0, engine: 'CUDA 13.0 for 8.9', note: NOTE };
    for (const service of ['prompts', 'inference', 'trainer'])
      answer({ service, version: '1', ready: true, computing });
    answer({ service: 'ingest', version: '1', ready: false, detail: 'the store is full' });
    await gateway.mesh.nc.flush();
  });
  afterAll(() => gateway?.stop());

  function answer(reply: Partial<StatusReply>): void {
    gateway.mesh.nc.subscribe(`rpc.${reply.service}.status`, {
      callback: (_error, message) => {
        StatusRequest.decode(message.data);
        message.respond(StatusReply.encode(StatusReply.create(reply)).finish());
      },
    });
  }

  test('says of every service whether it runs and on what it computes, and each note once', async () => {
    const info = (await (await fetch(`${gateway.url}/v1/info`)).json()) as { services: { name: string }[] };
    expect(info).toMatchObject({ object: 'info', notes: [NOTE] });
    const byName = Object.fromEntries(info.services.map((service) => [service.name, service]));
    const computing = { device: 'cpu', card_bytes: 0, engine: 'CUDA 13.0 for 8.9', note: NOTE };
    expect(byName.trainer).toEqual({ name: 'trainer', state: 'ready', version: '1', detail: null, computing });
    expect(byName.ingest).toMatchObject({ state: 'not_ready', detail: 'the store is full', computing: null });
    expect(byName.latents).toMatchObject({ state: 'not_running', version: null, computing: null });
  });
});
