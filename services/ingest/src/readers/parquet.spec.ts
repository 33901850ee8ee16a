import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { collect, limits, reading, summary } from '../../test/memory-files';
import type { FoundPicture } from './input-file';
import { readParquet } from './parquet';

/** Made by pyarrow in the layout of Hugging Face datasets: see make_parquet.py there. */
const fixture = (name: string) => join(__dirname, '../../test/fixtures', name);

describe('readParquet', () => {
  it('reads {bytes, path} and text row by row across row groups, naming rows and reporting those without bytes', async () => {
    expect(await summary(readParquet(fixture('huggingface.parquet'), 'data/train.parquet', reading))).toEqual([
      'data/train.parquet#000000 red.png: a red square',
      'data/train.parquet#000001: a green square',
      'data/train.parquet#000002 blue.png: (none)',
      'data/train.parquet#000003! only points to a picture (elsewhere.png); its bytes have to be in the parquet file',
      'data/train.parquet#000004! holds no picture',
    ]);
  });

  it('hands over the bytes untouched', async () => {
    const [first] = await collect(readParquet(fixture('huggingface.parquet'), 'x', reading));
    expect(first).toMatchObject({ kind: 'picture' });
    const { bytes } = await (first as FoundPicture).load();
    expect(bytes.subarray(0, 8)).toEqual(Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'));
  });

  it('reads plain binary columns, zstd, and a caption kept as bytes', async () => {
    expect(await summary(readParquet(fixture('plain.parquet'), 'p', reading))).toEqual(['p#000000: ein Caf\u00e9']);
  });

  it('takes all of several captions', async () => {
    expect(await summary(readParquet(fixture('captions.parquet'), 'c', reading))).toEqual([
      'c#000000 r.png: first | second',
    ]);
  });

  it('reads lz4, also a page without a value', async () => {
    expect(await summary(readParquet(fixture('lz4.parquet'), 'l', reading))).toEqual(['l#000000: packed with lz4']);
  });

  describe('whose captions are in a column of another name', () => {
    const file = fixture('caption-column.parquet');
    const told =
      'has several columns with texts; beside the picture it has: filename, blip_caption. To use one, name the one that holds the captions with --caption-column (caption_column)';

    it('takes the one that is named', async () => {
      expect(await summary(readParquet(file, 'b', { ...reading, column: 'blip_caption' }))).toEqual([
        'b#000000 x.png: a blip caption',
      ]);
    });

    it('lists the columns where none is named, or one that is not there', async () => {
      const [refused, ...others] = await collect(readParquet(file, 'b', reading));
      expect(refused).toEqual({ kind: 'rejected', name: 'b', reason: told, pictures: 1 });
      expect(others).toEqual([]);
      await expect(summary(readParquet(file, 'b', { ...reading, column: 'blip' }))).rejects.toThrow(
        'has no column blip for captions; it has: filename, blip_caption',
      );
    });

    it('says so too where pictures need no caption', async () => {
      expect(await summary(readParquet(file, 'b', { ...reading, captionless: true }))).toEqual([
        `b~ ${told}; its pictures get the trigger phrase alone`,
        'b#000000 x.png: (none)',
      ]);
    });
  });

  it('names the columns when none holds pictures', async () => {
    await expect(summary(readParquet(fixture('no-image.parquet'), 'n', reading))).rejects.toThrow(
      'has no image column ({bytes, path} or binary) among its columns: url, text',
    );
  });

  it('refuses a row group that would take too much memory and says how to write it', async () => {
    const found = await summary(
      readParquet(fixture('huggingface.parquet'), 'x', { ...reading, limits: { ...limits, rowGroupBytes: 200 } }),
    );
    expect(found).toHaveLength(3);
    expect(found[0]).toMatch(
      /^x! rows 0 to 1: the row group takes .* and 200 bytes are allowed: write the file with smaller row groups$/,
    );
  });

  describe('damaged', () => {
    let folder: string;
    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), 'parquet-spec-'));
    });
    afterEach(() => rm(folder, { recursive: true }));

    async function damaged(change: (bytes: Buffer) => Buffer): Promise<string> {
      const path = join(folder, 'damaged.parquet');
      await writeFile(path, change(await readFile(fixture('huggingface.parquet'))));
      return path;
    }

    it('a file cut short is not parquet', async () => {
      const path = await damaged((bytes) => bytes.subarray(0, bytes.length - 100));
      await expect(summary(readParquet(path, 'x', reading))).rejects.toThrow('is not a parquet file that can be read');
    });

    it('a column that the schema does not know is refused before its neighbours are begun', async () => {
      const path = await damaged((bytes) => {
        bytes.fill(0xff, 4, 60); // so that reading the image's bytes would fail, with nobody left to hear of it
        bytes.write("pa'h", bytes.lastIndexOf('path%'), 'latin1');
        return bytes;
      });
      const strays: unknown[] = [];
      const hear = (error: unknown) => strays.push(error);
      process.on('unhandledRejection', hear);
      const found = await summary(readParquet(path, 'x', reading));
      await new Promise((resolve) => setImmediate(resolve));
      process.off('unhandledRejection', hear);
      expect(found[0]).toBe('x! rows 0 to 1: has a column image.path that its schema does not know');
      expect(strays).toEqual([]);
    });

    it('a row group of garbage is reported and the other groups are read', async () => {
      const path = await damaged((bytes) => bytes.fill(0xff, 4, 60));
      const found = await summary(readParquet(path, 'x', reading));
      expect(found[0]).toMatch(/^x! rows 0 to 1: /);
      expect(found[1]).toBe('x#000002 blue.png: (none)');
    });
  });
});
