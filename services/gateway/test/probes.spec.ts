import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { calls, StoreReply } from '@atelier/contracts';
import { startNatsServer } from '@atelier/mesh';
import { freePort, startServiceProcess, waitFor } from '@atelier/testing';
import type { Msg } from 'nats';
import { startGateway } from './harness';

describe('probes of a gateway', () => {
  test('on a full store it is ready, and says that uploads would be refused to who asks for them', async () => {
    const gateway = await startGateway();
    const full = { path: '/data', freeBytes: 1024 ** 2, limitBytes: 1024 ** 3, reserveBytes: 8 * 1024 ** 2 };
    const callback = (_error: unknown, message: Msg): void => void message.respond(StoreReply.encode(full).finish());
    gateway.mesh.nc.subscribe(calls.room.subject, { callback });
    await gateway.mesh.nc.flush();
    try {
      await waitFor('a look at it', async () => {
        const { store } = (await (await fetch(`${gateway.url}/readyz`)).json()) as { store: { state: string } };
        return store.state === 'full';
      });
      const readiness = await fetch(`${gateway.url}/readyz`);
      const body = (await readiness.json()) as { uploads: { accepted: boolean; reason: string } };
      expect([readiness.status, body.uploads.accepted]).toEqual([200, false]);
      expect(body.uploads.reason).toMatch(/^the store is full: 1\.0 MiB of 1024 MiB may still be written to \/data/);
      expect((await fetch(`${gateway.url}/readyz?for=uploads`)).status).toBe(503);
      expect((await fetch(`${gateway.url}/readyz?for=drawings`)).status).toBe(400);
      expect(await (await fetch(`${gateway.url}/livez`)).text()).toBe('ok\n');
    } finally {
      await gateway.stop();
    }
  });

  test('while nats-server is stopped it lives and is not ready; where there is room uploads are taken', async () => {
    const gateway = await startGateway();
    try {
      expect((await fetch(`${gateway.url}/readyz?for=uploads`)).status).toBe(200);
      gateway.signalNats('SIGSTOP');
      const [alive, ready] = await Promise.all(['livez', 'readyz'].map((path) => fetch(`${gateway.url}/${path}`)));
      expect([alive!.status, ready!.status]).toEqual([200, 503]);
    } finally {
      gateway.signalNats('SIGCONT');
      await gateway.stop();
    }
  });

  test('before nats-server is there it answers on its address that it lives and waits, and serves when it is', async () => {
    const [port, natsPort] = [await freePort(), await freePort()];
    const starting = startServiceProcess('gateway', {
      ATELIER_NATS_URL: `nats://127.0.0.1:${natsPort}`,
      ATELIER_HTTP_PORT: String(port),
    });
    const storeDir = mkdtempSync(join(tmpdir(), 'atelier-probes-'));
    const ask = (path: string): Promise<Response> => fetch(`http://127.0.0.1:${port}${path}`);
    try {
      await waitFor('it to listen', () =>
        ask('/livez').then(
          ({ ok }) => ok,
          () => false,
        ),
      );
      expect((await ask('/readyz')).status).toBe(503);
      const refused = await ask('/v1/datasets');
      expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '5']);
      expect(await refused.json()).toMatchObject({ error: { code: 'unavailable' } });
      const nats = await startNatsServer({ storeDir, port: natsPort });
      await waitFor('it to serve', () =>
        ask('/v1/datasets').then(
          ({ ok }) => ok,
          () => false,
        ),
      );
      expect((await ask('/readyz')).status).toBe(200);
      await (await starting).stop();
      await nats.stop();
    } finally {
      rmSync(storeDir, { recursive: true, force: true });
    }
  });
});
