import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Mesh, startNatsServer } from '@atelier/mesh';
import { waitFor } from '@atelier/testing';
import { LocalNats } from './nats';

const pidIn = (store: string): number =>
  Number(
    readdirSync(store)
      .find((name) => name.endsWith('.ports'))
      ?.match(/\d+/)?.[0],
  );
const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

describe('nats-server of a data folder', () => {
  let store: string;
  beforeEach(() => (store = mkdtempSync(join(tmpdir(), 'atelier-nats-'))));
  afterEach(() => rmSync(store, { recursive: true, force: true }));

  test('killed, it is started again at the same address with what was on its disk', async () => {
    const ends: string[] = [];
    const nats = await LocalNats.start(store, { port: 0, onEnd: (how) => ends.push(how) });
    const keep = async (mesh: Mesh): Promise<void> => {
      await (await mesh.js.views.kv('kept', { history: 1 })).put('key', 'value');
      await mesh.close();
    };
    try {
      await keep(await Mesh.connect({ url: nats.url, name: 'test' }));
      process.kill(pidIn(store), 'SIGKILL');
      await waitFor('the end to be noticed', () => ends.length > 0);
      // A new connection each time: a request that was sent into the outage would wait for its own timeout.
      const mesh = await waitFor('the address to answer again', () =>
        Mesh.connect({ url: nats.url, name: 'test' }).catch(() => null),
      );
      expect((await (await mesh.js.views.kv('kept', { history: 1 })).get('key'))?.string()).toBe('value');
      await mesh.close();
    } finally {
      await nats.stop();
    }
    await expect(Mesh.connect({ url: nats.url, name: 'test' })).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });

  test('a port that another process has is left to it', async () => {
    const other = mkdtempSync(join(tmpdir(), 'atelier-nats-'));
    const first = await LocalNats.start(other, { port: 0, onEnd: () => undefined });
    const port = Number(new URL(first.url).port);
    const second = await LocalNats.start(store, { port, onEnd: () => undefined });
    try {
      expect(Number(new URL(second.url).port)).not.toBe(port);
      for (const { url } of [first, second]) await (await Mesh.connect({ url, name: 'test' })).close();
    } finally {
      await Promise.all([first.stop(), second.stop()]);
      rmSync(other, { recursive: true, force: true });
    }
  });

  test('one that a killed launcher left on the store is ended first', async () => {
    const orphan = await startNatsServer({ storeDir: store });
    const orphanPid = pidIn(store);
    const nats = await LocalNats.start(store, { port: 0, onEnd: () => undefined });
    try {
      expect(isAlive(orphanPid)).toBe(false);
      await orphan.ended;
    } finally {
      await nats.stop();
    }
  });
});
