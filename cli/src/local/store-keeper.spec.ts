import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmdirSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isFull, Mesh, provisionMesh, startNatsServer, throughOutage } from '@atelier/mesh';
import { waitFor } from '@atelier/testing';
import { TensorStore } from '@atelier/store';
import { diskOf, reservedBy } from './disk';
import { LocalNats } from './nats';
import { StoreKeeper } from './store-keeper';

const MiB = 1024 ** 2;
const DISK = 160;

/** A small disk of the test's own. Only root may mount one. */
const isRoot = process.getuid?.() === 0;
if (!isRoot)
  process.stderr.write('skipped: the keeper on a disk that is really full; mounting a small tmpfs needs root\n');
const onSmallDisk = isRoot ? describe : describe.skip;

onSmallDisk('nats-server on a disk that others fill', () => {
  let disk: string;
  let nats: LocalNats;
  let keeper: StoreKeeper;
  let mesh: Mesh;
  let tensors: TensorStore;
  const said: string[] = [];
  const unasked: string[] = [];

  beforeEach(async () => {
    disk = mkdtempSync(join(tmpdir(), 'atelier-disk-'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK}m`, 'tmpfs', disk]);
    nats = await LocalNats.start(join(disk, 'nats'), { port: 0, onEnd: (how) => unasked.push(how) });
    keeper = await StoreKeeper.start(nats, (text) => said.push(text));
    mesh = await Mesh.connect({ url: nats.url, name: 'test' });
    await provisionMesh(mesh);
    tensors = new TensorStore(mesh);
    said.length = 0;
    unasked.length = 0;
  });
  afterEach(async () => {
    await mesh?.close();
    await keeper?.stop();
    await nats?.stop();
    execFileSync('umount', [disk]);
    rmdirSync(disk);
  });

  /** Another program takes so much of the disk, or all that is left of it. */
  const hog = (bytes: number): void => {
    const fd = openSync(join(disk, 'hog'), 'a');
    const chunk = Buffer.alloc(64 * 1024);
    try {
      for (let written = 0; written < bytes; written += chunk.length) writeSync(fd, chunk);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
    } finally {
      closeSync(fd);
    }
  };
  const give = (): void => rmSync(join(disk, 'hog'));
  /** Written around the guard, as what was under way when the disk became full. */
  const publish = (key: string) => mesh.js.publish(`tensors.latents.${key}`, Buffer.alloc(MiB, key), { timeout: 2000 });
  const full = async (): Promise<boolean> => isFull(await mesh.room.look());

  test("its limit is the disk's, and every service is told what room there is", async () => {
    const state = await mesh.room.look();
    expect(state.path).toBe(join(disk, 'nats'));
    expect(state.limit).toBeLessThan(DISK * MiB);
    expect(state.limit).toBeGreaterThan((DISK - 20) * MiB);
    expect(state.reserve).toBe((DISK / 10) * MiB);
    await expect(mesh.room.require(state.room, 'new work')).rejects.toThrow('the store is full');
  });

  test('that is smaller than what an earlier version set aside for a stream: the stream is served all the same', async () => {
    const store = join(disk, 'nats');
    await mesh.close();
    await keeper.stop();
    await nats.stop();
    const before = await startNatsServer({ storeDir: store }); // without a limit, as it was
    mesh = await Mesh.connect({ url: before.url, name: 'test' });
    await mesh.jsm.streams.add({ name: 'OLD', subjects: ['old.>'], max_bytes: 1024 ** 3 });
    await mesh.js.publish('old.a', Buffer.from('kept'));
    await mesh.close();
    await before.stop();
    expect(reservedBy(store)).toBe(1024 ** 3);
    nats = await LocalNats.start(join(disk, 'nats'), { port: 0, onEnd: (how) => unasked.push(how) });
    mesh = await Mesh.connect({ url: nats.url, name: 'test' });
    expect((await mesh.jsm.streams.info('OLD')).state.messages).toBe(1);
    keeper = await StoreKeeper.start(nats, (words) => said.push(words));
  });

  test('is told of, once when it begins and once when it ends; what is there is read meanwhile, and nothing is killed by hand', async () => {
    await tensors.put('latents', 'before', Buffer.alloc(MiB, 'before'));
    hog(Infinity);
    await waitFor('it to be told', () => said.find((text) => text.startsWith('the store is full')));
    await waitFor(
      'nats-server to take nothing more',
      async () =>
        (await publish('no').catch((error: { api_error?: { err_code: number } }) => error.api_error?.err_code)) ===
        10023,
      40_000,
    );
    expect(Buffer.from((await tensors.get('latents', 'before'))!).equals(Buffer.alloc(MiB, 'before'))).toBe(true);
    const waiting = throughOutage(() => tensors.put('latents', 'waiting', Buffer.alloc(MiB, 'waiting')));
    give();
    await waiting;
    await waitFor('its end to be told', () => said.find((text) => text.startsWith('there is room in the store again')));
    expect(said.filter((text) => text.startsWith('the store is full'))).toHaveLength(1);
    expect(await full()).toBe(false);
    expect(await tensors.has('latents', 'waiting')).toBe(true);
    expect(unasked).toEqual([]);
  });

  test('whose JetStream hangs at the end of its disk is started anew by itself, and has all that was acknowledged', async () => {
    const acknowledged: string[] = [];
    const write = (key: string): Promise<unknown> =>
      publish(key).then(
        () => acknowledged.push(key),
        () => undefined,
      );
    for (let i = 0; i < 3; i++) await write(`k${i}`);
    // Faster than anyone can look, the disk is full in the midst of a message, by which 2.9 locks itself out of its
    // stream.
    hog(diskOf(disk).free - MiB / 2);
    for (let i = 3; i < 6; i++) await write(`k${i}`);
    expect(acknowledged).toEqual(['k0', 'k1', 'k2']);
    await waitFor('the restart to be told', () => said.find((text) => text.includes('started anew')), 60_000);
    const read = async (): Promise<void> => {
      for (const key of acknowledged)
        expect(Buffer.from((await tensors.get('latents', key))!).equals(Buffer.alloc(MiB, key))).toBe(true);
    };
    await throughOutage(() => tensors.has('latents', 'k0')); // the connection is back
    await read(); // though there is no room yet
    give();
    await throughOutage(() => tensors.put('latents', 'after', Buffer.alloc(MiB, 'after')), { patienceMs: 90_000 });
    await read();
    expect(unasked).toEqual([]);
  });
});
