import { randomBytes } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { AdapterInfo } from '@atelier/contracts';
import { throughOutage } from '@atelier/mesh';
import { AdapterStore, BlobStore, StateStore } from '@atelier/store';
import { startTestMesh, type TestMesh } from '@atelier/testing';

const MIB = 1024 ** 2;
/** A file of its own bytes; the rank stands for it in its entry. */
const fileOf = (rank: number, size = 100_000 + rank): { rank: number; bytes: Buffer } => ({
  rank,
  bytes: randomBytes(size),
});

describe('adapters', () => {
  let test: TestMesh;
  let adapters: AdapterStore;
  let impatient: AdapterStore;
  let blobs: BlobStore;
  let entries: StateStore<AdapterInfo>;

  beforeEach(async () => {
    test = await startTestMesh();
    adapters = new AdapterStore(test.mesh);
    impatient = new AdapterStore(test.mesh, { keepReplacedMs: 0 });
    blobs = new BlobStore(test.mesh);
    entries = new StateStore(test.mesh, 'adapters', AdapterInfo);
  });
  afterEach(() => test.stop());

  const put = (
    name: string,
    { rank, bytes }: { rank: number; bytes: Buffer },
    { replace = false, runId = '' } = {},
    store = adapters,
  ) => store.put({ name, rank, alpha: rank, runId }, bytes, { replace });
  const files = async () => (await blobs.list('adapters')).map(({ name }) => name).sort();
  const messages = async () => (await test.mesh.jsm.streams.info('OBJ_adapters')).state.messages;
  /** What the name stands for now, after a check that its entry and its file are of one making. */
  const whole = async (name: string, among: { rank: number; bytes: Buffer }[]): Promise<number> => {
    const found = await adapters.find(name);
    const file = among.find(({ rank }) => rank === found.value.rank)!;
    expect(found.value).toMatchObject({ name, alpha: file.rank, size: file.bytes.byteLength });
    expect(Buffer.from(await adapters.read(found)).equals(file.bytes)).toBe(true);
    return file.rank;
  };

  it('are found, read and listed by their name; another under it is refused and leaves nothing', async () => {
    const file = fileOf(2, 2 * MIB);
    const info = await put('ink', file);
    expect(info).toMatchObject({ name: 'ink', rank: 2, size: file.bytes.byteLength, runId: '', replaced: [] });
    expect(info.blob).not.toContain('ink');
    expect(await adapters.list()).toEqual([info]);
    expect((await buffer(await adapters.stream(await adapters.find('ink')))).equals(file.bytes)).toBe(true);
    const before = await messages();
    await expect(put('ink', fileOf(4))).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
      message: expect.stringMatching(/named ink/),
    });
    expect(await messages()).toBe(before);
    expect(await whole('ink', [file])).toBe(2);
    for (const name of ['nobody', '', '../ink', '*', 'a b'])
      await expect(adapters.find(name)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('come two at once under one name: the first is accepted, and of the other nothing is left', async () => {
    for (let round = 0; round < 30; round++) {
      const before = await messages();
      const both = [fileOf(2), fileOf(4, 90_000)];
      const results = await Promise.allSettled(both.map((file) => put(`race-${round}`, file)));
      expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
      expect(results.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'ALREADY_EXISTS' } });
      const winner = both[results.findIndex(({ status }) => status === 'fulfilled')]!;
      expect(await whole(`race-${round}`, both)).toBe(winner.rank);
      expect(await files()).toHaveLength(round + 1);
      expect(await messages()).toBe(before + 2); // one chunk and what is said of it
    }
  });

  it('are replaced beside a reader, who reads the file that it took to its end', async () => {
    const before = fileOf(2, 8 * MIB);
    await put('ink', before);
    const found = await adapters.find('ink');
    const download = await adapters.stream(found);
    const reading = download[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    const chunks = [(await reading.next()).value as Buffer];
    const after = fileOf(4);
    await put('ink', after, { replace: true });
    for (let next = await reading.next(); !next.done; next = await reading.next()) chunks.push(next.value);
    expect(Buffer.concat(chunks).equals(before.bytes)).toBe(true);
    expect(Buffer.from(await adapters.read(found)).equals(before.bytes)).toBe(true);
    expect(await whole('ink', [before, after])).toBe(4);
  });

  it('that were replaced too long ago: a reader gets what the name stands for now', async () => {
    await put('ink', fileOf(2));
    const found = await adapters.find('ink');
    const after = fileOf(4);
    const { blob } = await put('ink', after, { replace: true }, impatient);
    expect(await files()).toEqual([blob]);
    expect(Buffer.from(await adapters.read(found)).equals(after.bytes)).toBe(true);
    expect((await buffer(await adapters.stream(found))).equals(after.bytes)).toBe(true);
    await blobs.delete('adapters', blob);
    await expect(adapters.read(found)).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringMatching(/file of adapter ink is gone/),
    });
  });

  it('leave their file when they are replaced, until it is due and anyone puts one', async () => {
    const first = await put('ink', fileOf(2));
    const second = await put('ink', fileOf(4), { replace: true });
    expect(second.replaced).toEqual([{ blob: first.blob, replacedAt: second.createdAt }]);
    const other = await put('other', fileOf(2));
    expect(await files()).toEqual([first.blob, second.blob, other.blob].sort());
    const last = await put('another', fileOf(2), {}, impatient);
    expect(await files()).toEqual([second.blob, other.blob, last.blob].sort());
    expect((await adapters.find('ink')).value).toEqual({ ...second, replaced: [] });
  });

  it('are replaced by many at once, and the name stands for one whole file throughout', async () => {
    const among = [2, 3, 4, 5, 6, 7].map((rank) => fileOf(rank, rank * 100_000));
    await put('ink', among[0]!);
    let over = false;
    const reading = (async () => {
      while (!over) await whole('ink', among);
    })();
    const writers = among.map(async (file, index) => {
      for (let round = 0; round < 5; round++)
        await put('ink', file, { replace: true }, index % 2 ? adapters : impatient);
    });
    await Promise.all(writers);
    over = true;
    await reading;
    const { value } = await adapters.find('ink');
    expect(await files()).toEqual([value.blob, ...value.replaced.map(({ blob }) => blob)].sort());
    await impatient.clearReplaced();
    expect(await files()).toEqual([value.blob]);
  });

  it('of a run are published beside imports, and twice is once', async () => {
    const [trained, foreign, further] = [fileOf(2), fileOf(4), fileOf(6)];
    const first = await put('ink', trained, { replace: true, runId: 'run-1' });
    const before = await messages();
    expect(await put('ink', trained, { replace: true, runId: 'run-1' })).toEqual(first);
    const [again, atOnce] = await Promise.all([1, 2].map(() => put('new', trained, { replace: true, runId: 'run-2' })));
    expect(again).toEqual(atOnce);
    expect(await messages()).toBe(before + 2);
    for (let round = 0; round < 10; round++) {
      const run = { replace: true, runId: `run-3-${round}` };
      await Promise.all([
        put('ink', trained, run),
        put('ink', foreign, { replace: true }, impatient),
        put('ink', trained, run, impatient),
        put('ink', further, { replace: true }),
      ]);
      await whole('ink', [trained, foreign, further]);
    }
  });

  it('whose writer was killed between file and entry leave the name free, and a file that harms nobody', async () => {
    await blobs.put('adapters', 'of-the-killed-one', randomBytes(1000));
    const file = fileOf(2);
    const { blob } = await put('ink', file);
    expect(await whole('ink', [file])).toBe(2);
    await impatient.clearReplaced();
    expect(await files()).toEqual([blob, 'of-the-killed-one'].sort());
  });

  it.each([
    ['an import', 'ink.safetensors', ''],
    ['a run', 'ink.run-1.safetensors', 'run-1'],
  ])('that %s wrote with version 0.1.0 are read, replaced and cleared away', async (_who, blob, runId) => {
    const old = fileOf(2);
    await blobs.put('adapters', blob, old.bytes);
    await entries.create(
      'ink',
      AdapterInfo.create({ name: 'ink', blob, runId, size: old.bytes.byteLength, rank: 2, alpha: 2 }),
    );
    expect(await whole('ink', [old])).toBe(2);
    const found = await adapters.find('ink');
    await expect(put('ink', fileOf(4))).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    const next = fileOf(4);
    const { blob: now } = await put('ink', next, { replace: true });
    expect(Buffer.from(await adapters.read(found)).equals(old.bytes)).toBe(true);
    expect(await whole('ink', [old, next])).toBe(4);
    await impatient.clearReplaced();
    expect(await files()).toEqual([now]);
  });

  it('are put through a restart of nats-server, each with the file that its entry names', async () => {
    const patient = new AdapterStore(test.mesh, { patience: throughOutage });
    const among = [2, 3, 4, 5].map((rank) => fileOf(rank, rank * MIB));
    let put_ = 0;
    const writers = among.map(async (file) => {
      for (let round = 0; round < 4; round++, put_++) await put('ink', file, { replace: true }, patient);
    });
    await Promise.race(writers.map((_, i) => put(`first-${i}`, among[0]!)));
    await test.restartNats();
    expect(put_).toBeLessThan(16);
    await Promise.all(writers);
    await whole('ink', among);
  });

  const anything = (): void => undefined;

  it('are deleted with all their files, twice as well as once, and a reader is told', async () => {
    await put('ink', fileOf(2));
    await put('ink', fileOf(4, 2 * MIB), { replace: true });
    await put('pen', fileOf(8));
    const found = await adapters.find('ink');
    const reading = await adapters.stream(found);
    const refuse = (): void => {
      throw new Error('in use');
    };
    await expect(adapters.delete('ink', refuse)).rejects.toThrow('in use');
    expect(await adapters.delete('ink', anything)).toMatchObject({ name: 'ink', rank: 4 });
    expect(await adapters.delete('ink', anything)).toBeNull();
    expect((await adapters.list()).map(({ name }) => name)).toEqual(['pen']);
    expect(await files()).toHaveLength(1);
    await expect(adapters.read(found)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(buffer(reading)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('go by another name with their file, unless that is taken', async () => {
    const [ink, pen] = [fileOf(2), fileOf(4)];
    await put('ink', ink, { runId: 'r' });
    await put('pen', pen);
    await expect(adapters.rename('ink', 'pen')).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    await expect(adapters.rename('brush', 'pencil')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(await adapters.rename('ink', 'brush')).toMatchObject({ name: 'brush', runId: 'r' });
    await expect(adapters.find('ink')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect([await whole('brush', [ink, pen]), await whole('pen', [ink, pen])]).toEqual([2, 4]);
  });

  it('keep their name, and get no other, where whoever asked for it may not', async () => {
    await put('ink', fileOf(2));
    let asked = 0;
    for (const refusedAt of [1, 2]) {
      const require = async (): Promise<void> => {
        if (++asked >= refusedAt) throw new Error('in use');
      };
      await expect(adapters.rename('ink', 'brush', require)).rejects.toThrow('in use');
      expect((await adapters.list()).map(({ name }) => name)).toEqual(['ink']);
      asked = 0;
    }
    expect(await files()).toHaveLength(1);
  });

  it('whose renaming was broken off have both names and one file, which goes with the last of them', async () => {
    const ink = fileOf(2);
    const info = await put('ink', ink);
    await entries.create('brush', AdapterInfo.create({ ...info, name: 'brush' })); // and there it was killed
    await adapters.delete('ink', anything);
    expect(await whole('brush', [ink])).toBe(2);
    await entries.create('ink', info);
    await adapters.rename('ink', 'brush');
    expect((await adapters.list()).map(({ name }) => name)).toEqual(['brush']);
    await adapters.delete('brush', anything);
    expect(await files()).toEqual([]);
  });
});
