import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { collect, limits, summary } from '../../test/memory-files';
import { unwatched } from './in-hand';
import type { FoundPicture } from './input-file';
import { readParquet } from './parquet';

/** Made by pyarrow in the layout of Hugging Face datasets: see make_parquet.py there. */
const fixture = (name: string) => join(__dirname, '../../test/fixtures', name);

describe('readParquet', () => {
  it('reads {bytes, path} and text row by row across row groups, naming rows and reporting those without bytes', async () => {
    expect(await summary(readParquet(fixture('huggingface.parquet'), 'data/train.parquet', limits, unwatched))).toEqual(
      [
        'data/train.parquet#000000 red.png: a red square',
        'data/train.parquet#000001: a green square',
        'data/train.parquet#000002 blue.png: (none)',
        'data/train.parquet#000003! only points to a picture (elsewhere.png); its bytes have to be in the parquet file',
        'data/train.parquet#000004! holds no picture',
      ],
    );
  });

  it('hands over the bytes untouched', async () => {
    const [first] = await collect(readParquet(fixture('huggingface.parquet'), 'x', limits, unwatched));
    expect(first).toMatchObject({ kind: 'picture' });
    const { bytes } = await (first as FoundPicture).load();
    expect(bytes.subarray(0, 8)).toEqual(Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'));
  });

  it('reads plain binary columns, zstd, and a caption kept as bytes', async () => {
    expect(await summary(readParquet(fixture('plain.parquet'), 'p', limits, unwatched))).toEqual([
      'p#000000: ein Caf\u00e9',
    ]);
  });

  it('takes the first of several captions', async () => {
    expect(await summary(readParquet(fixture('captions.parquet'), 'c', limits, unwatched))).toEqual([
      'c#000000 r.png: first',
    ]);
  });

  it('names the columns when none holds pictures', async () => {
    await expect(summary(readParquet(fixture('no-image.parquet'), 'n', limits, unwatched))).rejects.toThrow(
      'has no image column ({bytes, path} or binary) among its columns: url, text',
    );
  });

  it('refuses a row group that would take too much memory and says how to write it', async () => {
    const found = await summary(
      readParquet(fixture('huggingface.parquet'), 'x', { ...limits, rowGroupBytes: 200 }, unwatched),
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
      await expect(summary(readParquet(path, 'x', limits, unwatched))).rejects.toThrow(
        'is not a parquet file that can be read',
      );
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
      const found = await summary(readParquet(path, 'x', limits, unwatched));
      await new Promise((resolve) => setImmediate(resolve));
      process.off('unhandledRejection', hear);
      expect(found[0]).toBe('x! rows 0 to 1: has a column image.path that its schema does not know');
      expect(strays).toEqual([]);
    });

    it('a row group of garbage is reported and the other groups are read', async () => {
      const path = await damaged((bytes) => bytes.fill(0xff, 4, 60));
      const found = await summary(readParquet(path, 'x', limits, unwatched));
      expect(found[0]).toMatch(/^x! rows 0 to 1: /);
      expect(found[1]).toBe('x#000002 blue.png: (none)');
    });
  });
});
