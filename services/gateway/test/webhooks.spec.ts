import type { AddressInfo } from 'node:net';
import { eventSubjects, RunState, streams } from '@atelier/contracts';
import { publishEvent } from '@atelier/mesh';
import { waitFor } from '@atelier/testing';
import { Webhook as Verifier } from 'standardwebhooks';
import { createGateway } from '../src/app';
import { GatewayConfig, gatewaySettings } from '../src/gateway.config';
import { playServices } from './fake-services';
import { form, postJson, startGateway, type TestGateway } from './harness';
import { receiver, status } from './receiver';

describe('webhooks', () => {
  let gateway: TestGateway;
  const RETRY = { ATELIER_WEBHOOK_RETRY_SECONDS: '0.3' };
  beforeAll(async () => {
    gateway = await startGateway(RETRY);
  });
  afterAll(() => gateway?.stop());

  /** Another gateway on the same mesh, after the first has stopped. */
  const restartGateway = async () => {
    const former = gateway;
    await former.app.close();
    const settings = gatewaySettings.parse({ ...RETRY, ATELIER_NATS_URL: 'nats://unused' });
    const app = await createGateway(new GatewayConfig(settings), former.mesh);
    await app.listen(0, '127.0.0.1');
    const { port } = app.getHttpServer().address() as AddressInfo;
    const stop = async () => {
      await app.close();
      await former.stop();
    };
    gateway = { ...former, app, url: `http://127.0.0.1:${port}`, stop };
  };
  const hooks = (path = '') => `${gateway.url}/v1/webhooks${path}`;
  const add = async (url: string, types?: string[]) => {
    const response = await postJson(hooks(), { url, types });
    expect(response.status).toBe(201);
    return (await response.json()) as { id: string; secret: string };
  };
  const deliveries = async (id: string) =>
    ((await (await fetch(hooks(`/${id}/deliveries`))).json()) as { data: Record<string, unknown>[] }).data;
  const tell = (id: string, state: RunState) =>
    publishEvent(gateway.mesh, eventSubjects.run({ id, datasetId: 'd' }, 'state'), { runState: { runId: id, state } });

  test('a receiver that fails twice gets the event, signed, with the run in it, though gateways stop in between', async () => {
    const hook = await receiver((nth, response) => void response.writeHead(nth <= 2 ? 500 : 204).end());
    const { id, secret } = await add(hook.url, ['run.finished']);
    const services = playServices(gateway.mesh);
    await fetch(`${gateway.url}/v1/datasets`, { method: 'POST', body: form({ name: 'hooked' }, { 'a.png': 'x' }) });
    const started = await postJson(`${gateway.url}/v1/finetunes`, { dataset: 'hooked', steps: 2 });
    const run = (await started.json()) as { id: string };
    await waitFor('the first try', () => Promise.resolve(hook.received.length >= 1));
    await restartGateway();
    await waitFor('the third try', () => Promise.resolve(hook.received.length >= 3));
    await waitFor('it to be noted', async () => (await deliveries(id))[0]?.status === 'delivered');
    await services.stop();

    expect(new Set(hook.received.map(({ event }) => event.id)).size).toBe(1);
    const { headers, body, event } = hook.received[2]!;
    expect(() => new Verifier(secret).verify(body, headers)).not.toThrow();
    expect(() => new Verifier(secret).verify(`${body} `, headers)).toThrow(/signature/i);
    expect(headers['content-type']).toMatch(/^application\/cloudevents\+json/);
    expect(headers['webhook-id']).toBe(event.id);
    expect(event).toMatchObject({
      specversion: '1.0',
      type: 'dev.atelier.run.finished',
      subject: run.id,
      source: '/atelier',
    });
    const object = await (await fetch(`${gateway.url}/v1/finetunes/${run.id}`)).json();
    expect(event.data).toMatchObject({ kind: 'run', id: run.id, type: 'finished', object });
    expect(await deliveries(id)).toMatchObject([{ status: 'delivered', tries: 3, http_status: 204, type: event.type }]);

    const [{ id: delivery }] = (await deliveries(id)) as [{ id: string }];
    expect((await postJson(hooks(`/${id}/deliveries/${delivery}/replay`), {})).status).toBe(202);
    await waitFor('it once more', () => Promise.resolve(hook.received.length === 4));
    expect(hook.received[3]!.event.id).toBe(event.id);
    expect((await postJson(hooks(`/${id}/deliveries/999999/replay`), {})).status).toBe(404);
    await hook.stop();
  });

  test('a ping comes; the secret is told once; a deleted webhook gets nothing and leaves nothing', async () => {
    const hook = await receiver(status(200));
    const { id, secret } = await add(hook.url);
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    expect(await (await fetch(hooks(`/${id}`))).json()).not.toHaveProperty('secret');
    await postJson(hooks(`/${id}/test`), {});
    await waitFor('the ping', () => Promise.resolve(hook.received.length === 1));
    expect(hook.received[0]!.event).toMatchObject({ type: 'dev.atelier.webhook.ping', subject: id });
    const gone = await fetch(hooks(`/${id}`), { method: 'DELETE' });
    expect(await gone.json()).toEqual({ id, object: 'webhook', deleted: true });
    await tell('run-x', RunState.RUN_STATE_FAILED);
    await expect(gateway.mesh.jsm.consumers.info(streams.EVENTS, id)).rejects.toThrow(/not found/);
    expect(hook.received).toHaveLength(1);
    await hook.stop();
  });

  test('a receiver that is gone (410) has its webhook disabled; one that redirects is not followed', async () => {
    const [elsewhere, goes] = await Promise.all([receiver(status(200)), receiver(status(410))]);
    const redirects = await receiver(
      (_nth, response) => void response.writeHead(302, { location: elsewhere.url }).end(),
    );
    const [gone, moved] = [await add(goes.url), await add(redirects.url, ['run.*'])];
    await tell('run-y', RunState.RUN_STATE_CANCELLED);
    const hookOf = async (id: string) => (await (await fetch(hooks(`/${id}`))).json()) as Record<string, unknown>;
    await waitFor('it to be disabled', async () => (await hookOf(gone.id)).status === 'disabled');
    expect(await deliveries(gone.id)).toMatchObject([{ status: 'dead', http_status: 410, tries: 1 }]);
    await waitFor('two tries', async () => Number((await deliveries(moved.id))[0]?.tries) >= 2);
    const [pending] = await deliveries(moved.id);
    expect(pending).toMatchObject({ status: 'pending', http_status: 302, error: expect.stringMatching(/redirects/) });
    expect(elsewhere.received).toEqual([]);
    for (const { id } of [gone, moved]) await fetch(hooks(`/${id}`), { method: 'DELETE' });
    await Promise.all([elsewhere, goes, redirects].map(({ stop }) => stop()));
  });

  test.each([
    [{ url: 'ftp://example.com/x' }, /http/],
    [{ url: 'https://me:pass@example.com/' }, /password/],
    [{ url: 'here' }, /http/],
    [{ url: 'https://example.com/', types: ['run.step'] }, /run\.finished/],
    [{ url: 'https://example.com/', types: ['*'] }, /run\.\*/],
  ])('%j is refused', async (body, reason) => {
    const response = await postJson(hooks(), body);
    expect(response.status).toBe(400);
    expect(((await response.json()) as { error: { message: string } }).error.message).toMatch(reason);
  });
});
