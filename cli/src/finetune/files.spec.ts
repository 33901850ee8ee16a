import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import type { UploadFile } from '@atelier/client';
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
    const files = uploads(await localFiles([folder]), stop.signal);
    const first = ((await files.next()).value as UploadFile).data as Readable;
    stop.abort();
    await expect(first.toArray()).rejects.toMatchObject({ code: 'CANCELLED' });
    await expect(files.next()).rejects.toThrow('cancelled');
  });

  test('a broken link, a link to a folder and what is no file cost themselves only, and are named', async () => {
    put('good.png');
    symlinkSync(join(folder, 'gone.png'), join(folder, 'broken.png'));
    symlinkSync(join(folder, 'me.txt'), join(folder, 'me.txt'));
    symlinkSync(folder, join(folder, 'loop.png'));
    execFileSync('mkfifo', [join(folder, 'pipe.jpg')]);
    const { files, unreadable } = await localFiles([folder]);
    expect(files.map(({ name }) => name)).toEqual(['good.png']);
    expect(unreadable).toEqual([
      { name: 'broken.png', reason: 'is a link whose target is not there', picture: true },
      { name: 'loop.png', reason: 'is a link to a folder', picture: true },
      { name: 'me.txt', reason: 'is a link that leads to itself', picture: false },
      { name: 'pipe.jpg', reason: 'is no file', picture: true },
    ]);
  });

  test('a file that goes before its turn costs itself only', async () => {
    put('a.png');
    put('b.png');
    const local = await localFiles([folder]);
    rmSync(join(folder, 'a.png'));
    const names = [];
    for await (const { name, data } of uploads(local)) {
      names.push(name);
      await (data as Readable).toArray();
    }
    expect(names).toEqual(['b.png']);
    expect(local.unreadable).toEqual([{ name: 'a.png', reason: 'is not there any more', picture: true }]);
  });

  test('what people have beside the usual: tables, .json captions, other archives; what systems leave is set aside', async () => {
    for (const name of ['metadata.csv', 'a.json', 'a.heic', 'b.tar.xz', 'c.tar.bz2', 'd.bmp']) put(name);
    for (const name of ['@eaDir/a.jpg', 'Thumbs.db', '.thumbs/a.png', '#recycle/a.png']) put(name);
    const { files, ignored } = await localFiles([folder]);
    expect(files.map(({ name }) => name)).toEqual([
      'a.heic',
      'a.json',
      'b.tar.xz',
      'c.tar.bz2',
      'd.bmp',
      'metadata.csv',
    ]);
    expect(ignored).toEqual([]);
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
