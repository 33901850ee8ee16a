import type { AddressInfo } from 'node:net';
import { Generation } from '@atelier/contracts';
import { StateStore } from '@atelier/store';
import { waitFor } from '@atelier/testing';
import { createGateway } from '../src/app';
import { GatewayConfig, gatewaySettings } from '../src/gateway.config';
import { playServices } from './fake-services';
import { postJson, startGateway, type TestGateway } from './harness';

let staying: TestGateway;
let generations: StateStore<Generation>;
beforeEach(async () => {
  staying = await startGateway();
  generations = new StateStore(staying.mesh, 'generations', Generation);
});
afterEach(() => staying.stop());

/** A second gateway, asked for a picture that nobody draws yet, and then asked to stop. */
async function stopped(graceSeconds: number): Promise<{ answer: Promise<Response>; closed: Promise<void> }> {
  const settings = { ATELIER_NATS_URL: 'nats://unused', ATELIER_HTTP_GRACE_SECONDS: `${graceSeconds}` };
  const app = await createGateway(new GatewayConfig(gatewaySettings.parse(settings)), staying.mesh);
  await app.listen(0, '127.0.0.1');
  const { port } = app.getHttpServer().address() as AddressInfo;
  const body = { prompt: 'a heron', size: '64x64' };
  const answer = postJson(`http://127.0.0.1:${port}/v1/images/generations`, body, { connection: 'close' });
  await waitFor('the drawing to be noted', async () => (await generations.list()).length === 1);
  return { answer, closed: app.close() };
}

interface Drawing {
  status: string;
  data: { url: string }[];
}
const drawing = async (id: string): Promise<Drawing> =>
  (await (await fetch(`${staying.url}/v1/images/generations/${id}`)).json()) as Drawing;

describe('a gateway that is asked to stop', () => {
  test('lets an image request end that does within its grace', async () => {
    const { answer, closed } = await stopped(60);
    const services = playServices(staying.mesh);
    const response = await answer;
    const { id, data } = (await response.json()) as { id: string; data: object[] };
    expect([response.status, data.length]).toEqual([200, 1]);
    expect(response.headers.get('x-atelier-generation')).toBe(id);
    await closed;
    await services.stop();
  });

  test('hands out the id of a picture that is not drawn by then, and another gateway has it when it is', async () => {
    const { answer, closed } = await stopped(1);
    const response = await answer;
    const { error } = (await response.json()) as { error: { code: string; details: { generation: string } } };
    const id = error.details.generation;
    expect([response.status, error.code]).toEqual([503, 'unavailable']);
    expect(response.headers.get('x-atelier-generation')).toBe(id);
    expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0);
    await closed;

    expect(await drawing(id)).toMatchObject({ status: 'queued', data: [] });
    expect((await generations.get(id))!.value.cancelRequested).toBe(false);
    const services = playServices(staying.mesh);
    const { data } = await waitFor('the picture', async () => {
      const found = await drawing(id);
      return found.status === 'finished' && found;
    });
    expect((await fetch(data[0]!.url)).status).toBe(200);
    await services.stop();
  });

  test('no drawing is found under an id that was never handed out', async () => {
    expect((await fetch(`${staying.url}/v1/images/generations/gen-nobody`)).status).toBe(404);
  });
});
