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
    await expect(new TensorStore(test.mesh).put('latents', 'big', new Uint8Array(9 * 1024 * 1024))).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED', message: expect.stringContaining('9437184') });
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
