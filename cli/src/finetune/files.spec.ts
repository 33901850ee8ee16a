import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { defaultName, localFiles, uploads } from './files';

describe('files to upload', () => {
  let folder: string;
  const put = (name: string, content = 'x'): string => {
    const path = join(folder, name);
    mkdirSync(join(path, '..'), { recursive: true });
    writeFileSync(path, content);
    return path;
  };
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'atelier-files-'))));
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  test('a folder - pictures and captions by name, those below with their path, the rest told', async () => {
    put('b.png', 'bbb');
    put('a.JPG');
    put('a.txt');
    put('deep/er/c.webp');
    put('metadata.jsonl');
    put('notes.md');
    put('.hidden.png');
    put('__MACOSX/a.png');
    const found = await localFiles([folder]);
    expect(found.files.map(({ name }) => name)).toEqual([
      'a.JPG',
      'a.txt',
      'b.png',
      'deep/er/c.webp',
      'metadata.jsonl',
    ]);
    expect(found.ignored).toEqual(['notes.md']);
    expect(found.bytes).toBe(7);
  });

  test('a folder that links to itself ends, and a linked picture counts', async () => {
    const outside = put('outside.png');
    mkdirSync(join(folder, 'in'));
    symlinkSync(outside, join(folder, 'in', 'linked.png'));
    symlinkSync(folder, join(folder, 'in', 'loop'));
    expect((await localFiles([join(folder, 'in')])).files.map(({ name }) => name)).toEqual(['linked.png']);
  });

  test.each(['set.zip', 'set.tar', 'set.tar.gz', 'set.parquet', 'one.png'])('%s - goes as it is', async (name) => {
    const path = put(name);
    expect((await localFiles([path])).files).toEqual([{ name, path, size: 1 }]);
  });

  test('what is not there, not read, or empty is refused with what would do', async () => {
    await expect(localFiles([join(folder, 'nope')])).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(/nope does not exist: give a folder/),
    });
    await expect(localFiles([put('a.psd')])).rejects.toThrow(/a\.psd is no picture/);
    await expect(localFiles([folder])).rejects.toThrow(/there are no pictures in/);
  });

  test('an interrupt breaks off the file in hand and those after it', async () => {
    put('a.png', 'x'.repeat(1 << 20));
    put('b.png');
    const stop = new AbortController();
    const files = uploads((await localFiles([folder])).files, stop.signal);
    const first = files.next().value!.data as Readable;
    stop.abort();
    await expect(first.toArray()).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(() => files.next()).toThrow('cancelled');
  });

  test.each([
    ['Art Nouveau!/', 'art-nouveau'],
    ['/data/herons.tar.gz', 'herons'],
    ['set.v2.zip', 'set-v2'],
    ['pictures.d', 'pictures-d'],
  ])('defaultName - %s is %s', (path, name) => {
    expect(defaultName(path)).toBe(name);
  });
});
