import { Run, RunState } from '@atelier/contracts';
import { BlobStore, StateStore, TensorStore } from '@atelier/store';
import { startTestMesh, waitFor, type TestMesh } from '@atelier/testing';
import { randomBytes } from 'node:crypto';
import { PassThrough, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { setImmediate } from 'node:timers/promises';
import { runInThisContext } from 'node:vm';

describe('the stores', () => {
  let test: TestMesh;
  beforeAll(async () => {
    test = await startTestMesh();
  });
  afterAll(() => test.stop());

  it('tensors: what was put is got, byte for byte; what was not is null', async () => {
    const tensors = new TensorStore(test.mesh);
    const bytes = randomBytes(700_000);
    expect(await tensors.get('latents', 'aa')).toBeNull();
    expect(await tensors.has('latents', 'aa')).toBe(false);
    await tensors.put('latents', 'aa', bytes);
    await tensors.put('latents', 'aa', bytes);
    expect(Buffer.from((await tensors.get('latents', 'aa'))!).equals(bytes)).toBe(true);
    expect(await tensors.has('latents', 'aa')).toBe(true);
    expect(await tensors.has('prompts', 'aa')).toBe(false);
  });

  it('tensors: more than a message holds is refused with both numbers', async () => {
    await expect(
      new TensorStore(test.mesh).put('latents', 'big', new Uint8Array(9 * 1024 * 1024)),
    ).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED', message: expect.stringContaining('9437184') });
  });

  it('blobs: streams and bytes, replaced whole, listed, deleted', async () => {
    const blobs = new BlobStore(test.mesh);
    const bytes = randomBytes(3_000_000);
    await blobs.put('pictures', 'a/b.png', Readable.from([bytes.subarray(0, 1_000_001), bytes.subarray(1_000_001)]));
    expect(Buffer.from(await blobs.get('pictures', 'a/b.png')).equals(bytes)).toBe(true);
    await blobs.put('pictures', 'a/b.png', Buffer.from('new'), { kind: 'test' });
    expect(Buffer.from(await blobs.get('pictures', 'a/b.png')).toString()).toBe('new');
    expect(await blobs.list('pictures')).toEqual([{ name: 'a/b.png', size: 3, metadata: { kind: 'test' } }]);
    await blobs.delete('pictures', 'a/b.png');
    expect(await blobs.has('pictures', 'a/b.png')).toBe(false);
    await expect(blobs.get('pictures', 'a/b.png')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('blobs: an upload whose source fails leaves nothing behind under its name', async () => {
    const blobs = new BlobStore(test.mesh);
    const broken = new Readable({
      read() {
        this.push(randomBytes(600_000));
        this.destroy(new Error('the client went away'));
      },
    });
    await expect(blobs.put('pictures', 'half', broken)).rejects.toThrow();
    expect(await blobs.has('pictures', 'half')).toBe(false);
  });

  it('blobs: a source that fails while the bucket is opened, or before, fails the put and leaves nothing', async () => {
    const blobs = new BlobStore(test.mesh);
    const failing = new Readable({ read: () => undefined });
    const putting = blobs.put('pictures', 'half', failing);
    failing.destroy(new Error('the client went away'));
    await expect(putting).rejects.toThrow('the client went away');
    await expect(blobs.put('pictures', 'half', failing)).rejects.toThrow('the client went away');
    expect(await blobs.has('pictures', 'half')).toBe(false);
  });

  it('blobs: a chunk that is refused while more are awaited fails the put, and ends no process meanwhile', async () => {
    const away = await startTestMesh();
    const unheard = jest.fn();
    // A spec's own `process` hears of no rejection.
    const { process } = runInThisContext('globalThis') as typeof globalThis;
    process.on('unhandledRejection', unheard);
    try {
      const source = new PassThrough();
      const putting = new BlobStore(away.mesh).put('pictures', 'slow', source);
      source.write(randomBytes(600_000)); // one chunk and the beginning of another
      const { streams } = away.mesh.jsm;
      await waitFor('the first chunk', async () => (await streams.info('OBJ_pictures')).state.messages === 1);
      await streams.delete('OBJ_pictures');
      const { outMsgs } = away.mesh.nc.stats();
      source.write(randomBytes(600_000));
      await waitFor('the second chunk to be sent', () => away.mesh.nc.stats().outMsgs > outMsgs);
      await away.mesh.nc.flush(); // and refused
      await setImmediate();
      expect(unheard).not.toHaveBeenCalled();
      source.end();
      await expect(putting).rejects.toThrow();
    } finally {
      process.off('unhandledRejection', unheard);
      await away.stop();
    }
  });

  it('blobs: one that fails before it is read fails for its reader', async () => {
    const blobs = new BlobStore(test.mesh);
    await blobs.put('pictures', 'read', Buffer.from('bytes'));
    const reading = await blobs.stream('pictures', 'read');
    reading.destroy(new Error('digests do not match'));
    await setImmediate();
    await expect(buffer(reading)).rejects.toThrow('digests do not match');
  });

  it('blobs: a reader is told that its object went or changed, and does not wait for what will not come', async () => {
    const blobs = new BlobStore(test.mesh);
    const bytes = randomBytes(8_000_000);
    const halfRead = async (name: string): Promise<{ rest: () => Promise<void> }> => {
      await blobs.put('pictures', name, bytes);
      const reading = (await blobs.stream('pictures', name))[Symbol.asyncIterator]();
      await reading.next();
      return {
        rest: async () => {
          while (!(await reading.next()).done);
        },
      };
    };
    const deleted = await halfRead('deleted');
    await blobs.delete('pictures', 'deleted');
    await expect(deleted.rest()).rejects.toMatchObject({ code: 'NOT_FOUND' });
    const replaced = await halfRead('replaced');
    await blobs.put('pictures', 'replaced', bytes.subarray(0, 3_000_000));
    await expect(replaced.rest()).rejects.toMatchObject({ code: 'ABORTED' });
    const damaged = await halfRead('damaged');
    const { state } = await test.mesh.jsm.streams.info('OBJ_pictures');
    await test.mesh.jsm.streams.deleteMessage('OBJ_pictures', state.last_seq - 1);
    await expect(damaged.rest()).rejects.toMatchObject({ code: 'DATA_LOSS' });
  });

  it('blobs: of an object that is replaced while it is read all of one is got', async () => {
    const blobs = new BlobStore(test.mesh);
    const versions = [1, 2, 3].map((n) => Buffer.alloc(3_000_000 + n, n));
    await blobs.put('pictures', 'changing', versions[0]!);
    let over = false;
    const writing = (async () => {
      for (let round = 0; round < 30; round++) await blobs.put('pictures', 'changing', versions[round % 3]!);
      over = true;
    })();
    while (!over) {
      const got = Buffer.from(await blobs.get('pictures', 'changing'));
      expect(versions.some((version) => version.equals(got))).toBe(true);
    }
    await writing;
  });

  it('blobs: nothing is left in the stream of what was deleted', async () => {
    const blobs = new BlobStore(test.mesh);
    const messages = async () => (await test.mesh.jsm.streams.info('OBJ_samples')).state.messages;
    await blobs.put('samples', 'one', randomBytes(2_000_000));
    await blobs.put('samples', 'two', randomBytes(10));
    await Promise.all(['one', 'one', 'two', 'none'].map((name) => blobs.delete('samples', name)));
    expect(await messages()).toBe(0);
    await blobs.put('samples', 'one', Buffer.from('again'));
    expect(Buffer.from(await blobs.get('samples', 'one')).toString()).toBe('again');
  });

  it('state: two writers at once both count', async () => {
    const runs = new StateStore<Run>(test.mesh, 'runs', Run);
    await runs.create('r1', Run.create({ id: 'r1', step: 0 }));
    await expect(runs.create('r1', Run.create({ id: 'r1' }))).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    const add = () => runs.update('r1', (run) => Object.assign(run, { step: run.step + 1 }));
    await Promise.all(Array.from({ length: 10 }, add));
    expect((await runs.get('r1'))!.value.step).toBe(10);
    expect(await runs.update('r1', () => null)).toMatchObject({ step: 10 });
    await expect(runs.update('none', (run) => run)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('state: put creates, takes the place of what is there, leaves it or refuses, by what is there', async () => {
    const runs = new StateStore<Run>(test.mesh, 'runs', Run);
    const step = (value: number) => Run.create({ id: 'p1', step: value });
    const formers: (number | undefined)[] = [];
    const put = (value: number | null) =>
      runs.put('p1', (former) => {
        formers.push(former?.step);
        return value === null ? null : step(value);
      });
    expect(await put(1)).toMatchObject({ step: 1 });
    expect(await put(2)).toMatchObject({ step: 2 });
    expect(await put(null)).toMatchObject({ step: 2 });
    expect(formers).toEqual([undefined, 1, 2]);
    await expect(
      runs.put('p1', () => {
        throw new Error('refused');
      }),
    ).rejects.toThrow('refused');
    await expect(runs.put('none', () => null)).rejects.toMatchObject({ code: 'INTERNAL' });
    await Promise.all(Array.from({ length: 10 }, () => runs.put('p2', (former) => step((former?.step ?? 0) + 1))));
    expect((await runs.get('p2'))!.value.step).toBe(10);
    await runs.delete('p1');
    expect(await put(3)).toMatchObject({ step: 3 });
    expect(formers.at(-1)).toBeUndefined();
    await Promise.all(['p1', 'p2'].map((id) => runs.delete(id)));
  });

  it('state and blobs: are listed once each, and at once, however much is written meanwhile', async () => {
    const [runs, blobs] = [new StateStore<Run>(test.mesh, 'runs', Run), new BlobStore(test.mesh)];
    const ids = ['l1', 'l2', 'l3'];
    for (const id of ids) await runs.create(id, Run.create({ id }));
    for (const id of ids) await blobs.put('manifests', id, Buffer.from(id));
    let over = false;
    const writing = Promise.all(
      ids.slice(1).map(async (id) => {
        while (!over) {
          await runs.update(id, (run) => Object.assign(run, { step: run.step + 1 }));
          await blobs.put('manifests', id, Buffer.from(id));
        }
      }),
    );
    for (let round = 0; round < 100; round++) {
      expect(
        (await runs.list())
          .map(({ id }) => id)
          .filter((id) => id.startsWith('l'))
          .sort(),
      ).toEqual(ids);
      expect((await blobs.list('manifests')).map(({ name }) => name).sort()).toEqual(ids);
    }
    over = true;
    await writing;
    await Promise.all(ids.map((id) => runs.delete(id)));
  });

  it('state: a watcher sees what is there, then every change, then ends when told', async () => {
    const runs = new StateStore<Run>(test.mesh, 'runs', Run);
    await runs.create('r2', Run.create({ id: 'r2', state: RunState.RUN_STATE_QUEUED }));
    const stop = new AbortController();
    const seen: RunState[] = [];
    const watching = (async () => {
      for await (const run of runs.watch('r2', { signal: stop.signal })) seen.push(run.state);
    })();
    await waitFor('the first state', () => seen.length === 1);
    await runs.update('r2', (run) => Object.assign(run, { state: RunState.RUN_STATE_TRAINING }));
    await waitFor('the change', () => seen.length === 2);
    stop.abort();
    await watching;
    expect(seen).toEqual([RunState.RUN_STATE_QUEUED, RunState.RUN_STATE_TRAINING]);
    expect((await runs.list()).map((run) => run.id).sort()).toEqual(['r1', 'r2']);
  });
});
