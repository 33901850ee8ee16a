import { Readable } from 'node:stream';
import { limits, memoryFile, summary } from '../../test/memory-files';
import { readFolder } from './folder';
import { unwatched } from './in-hand';

const read = (files: Record<string, string | Uint8Array>) =>
  summary(
    readFolder(
      Object.entries(files).map(([name, content]) => memoryFile(name, content)),
      limits,
      unwatched,
    ),
  );

describe('readFolder', () => {
  it('pairs each picture with the .txt of its stem, nested folders too, in the order of names', async () => {
    expect(await read({ 'b/z.png': 'P', 'a.txt': 'an a', 'b/z.txt': 'a z', 'a.jpg': 'P', 'B.webp': 'P' })).toEqual([
      'B.webp: (none)',
      'a.jpg: an a',
      'b/z.png: a z',
    ]);
  });

  it('reads metadata.jsonl relative to its folder, under any of the usual field names, and prefers it to .txt', async () => {
    const metadata =
      '{"file_name":"1.jpg","text":"one"}\r\n\n{"file_name":"deep/2.jpg","caption":"two"}\n{"image":"3.jpg","prompt":"three"}';
    expect(
      await read({
        'train/metadata.jsonl': metadata,
        'train/1.jpg': 'P',
        'train/1.txt': 'not me',
        'train/deep/2.jpg': 'P',
        'train/3.jpg': 'P',
        '1.jpg': 'P',
      }),
    ).toEqual(['1.jpg: (none)', 'train/1.jpg: one', 'train/3.jpg: three', 'train/deep/2.jpg: two']);
  });

  it('reports each bad line of metadata.jsonl by number and uses the others', async () => {
    const metadata = [
      '{"file_name":"1.jpg","text":"one"}',
      'nonsense',
      '{"text":"whose?"}',
      '[]',
      '{"file_name":"../up.jpg","text":"x"}',
      '{"file_name":"gone.jpg","text":"x"}',
    ];
    expect(await read({ 'metadata.jsonl': metadata.join('\n'), '1.jpg': 'P' })).toEqual([
      'metadata.jsonl:2! is not a line of JSON: write {"file_name": …, "text": …}, one picture a line',
      'metadata.jsonl:3! has none of the text fields file_name, file, image, path',
      'metadata.jsonl:4! is not a JSON object',
      'metadata.jsonl:5! has a path that leaves its folder (".."): name files by their place within it',
      'gone.jpg! is named in line 6 of metadata.jsonl but is not there',
      '1.jpg: one',
    ]);
  });

  describe('metadata.jsonl of any length', () => {
    const good = '{"file_name":"1.jpg","text":"one"}';

    it('the first bad lines are listed, the others counted, and the good ones used wherever they are', async () => {
      const bad = Array.from({ length: limits.listed + 30 }, (_, at) => (at % 2 ? 'x' : '{"text":'));
      const found = await read({ 'metadata.jsonl': [...bad, good].join('\n'), '1.jpg': 'P' });
      expect(found).toHaveLength(limits.listed + 2);
      expect(found.slice(-2)).toEqual(['metadata.jsonl! and 30 more lines that cannot be used', '1.jpg: one']);
    });

    it('pictures that it names and that are not there are counted in the same way', async () => {
      const lines = Array.from({ length: limits.listed + 5 }, (_, at) => `{"file_name":"gone-${at}.jpg","text":"x"}`);
      const found = await read({ 'metadata.jsonl': lines.join('\n') });
      expect(found).toHaveLength(limits.listed + 1);
      expect(found.at(-1)).toBe('metadata.jsonl! and 5 more pictures that it names and that are not there');
    });

    it('lines after the most that are read are left, empty ones counted, and those before are used', async () => {
      const found = await read({
        'metadata.jsonl': `${good}\n${'\n'.repeat(limits.metadataLines)}${good}`,
        '1.jpg': 'P',
      });
      expect(found).toEqual([
        expect.stringMatching(/^metadata\.jsonl! has more than 1,000 lines: those after that are not read/),
        '1.jpg: one',
      ]);
    });

    it('a line that is too long costs that line', async () => {
      const long = `{"file_name":"1.jpg","text":"${'x'.repeat(limits.lineLength)}"}`;
      expect(await read({ 'metadata.jsonl': `${long}\n${good}\n${long}`, '1.jpg': 'P' })).toEqual([
        'metadata.jsonl:1! is longer than 10000 characters',
        'metadata.jsonl:3! is longer than 10000 characters',
        '1.jpg: one',
      ]);
    });

    it.each<BufferEncoding>(['utf8', 'utf16le'])('in %s it may come byte by byte', async (encoding) => {
      const bytes = Buffer.from(`\ufeff{"file_name":"1.jpg","text":"caf\u00e9 \ud83d\ude00"}\n`, encoding);
      const drops = {
        name: 'metadata.jsonl',
        size: bytes.length,
        open: () => Promise.resolve(Readable.from([...bytes].map((byte) => Buffer.from([byte])))),
      };
      expect(await summary(readFolder([drops, memoryFile('1.jpg', 'P')], limits, unwatched))).toEqual([
        '1.jpg: caf\u00e9 \ud83d\ude00',
      ]);
    });

    it('that is no text is refused as a whole', async () => {
      expect(
        await read({
          'metadata.jsonl': Buffer.concat([Buffer.from(`${good}\n`), Buffer.from('caf\u00e9', 'latin1')]),
          '1.jpg': 'P',
        }),
      ).toEqual([expect.stringMatching(/^metadata\.jsonl! is not text in UTF-8/), '1.jpg: (none)']);
    });
  });

  it('reports a caption that belongs to no picture', async () => {
    expect(await read({ 'a.jpg': 'P', 'notes.txt': 'hello' })).toEqual([
      'notes.txt! is a caption with no picture of that name beside it',
      'a.jpg: (none)',
    ]);
  });

  it('reads captions in UTF-8 with a byte order mark and in UTF-16, and refuses what is neither', async () => {
    expect(
      await read({
        '1.jpg': 'P',
        '1.txt': '\ufeffcaf\u00e9',
        '2.jpg': 'P',
        '2.txt': Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from('caf\u00e9', 'utf16le')]),
        '3.jpg': 'P',
        '3.txt': Buffer.from('caf\u00e9', 'latin1'),
      }),
    ).toEqual([
      '1.jpg: caf\u00e9',
      '2.jpg: caf\u00e9',
      expect.stringMatching(/^3\.jpg! its caption 3\.txt is not text in UTF-8/),
    ]);
  });

  it('refuses a picture or caption over its limit by name and goes on', async () => {
    expect(
      await read({
        '1.jpg': Buffer.alloc(limits.pictureBytes + 1),
        '1.txt': 'x',
        '2.jpg': 'P',
        '2.txt': 'x'.repeat(limits.captionBytes + 1),
        '3.jpg': 'P',
        '3.txt': 'three',
      }),
    ).toEqual([
      expect.stringMatching(/^1\.jpg! is larger than 2 MiB/),
      expect.stringMatching(/^2\.jpg! its caption 2\.txt is larger than 2 KiB/),
      '3.jpg: three',
    ]);
  });

  it('refuses a file that turns out larger than it claimed', async () => {
    const liar = { ...memoryFile('1.jpg', Buffer.alloc(limits.pictureBytes + 1)), size: 10 };
    expect(await summary(readFolder([liar], limits, unwatched))).toEqual([
      expect.stringMatching(/^1\.jpg! is larger than 2 MiB/),
    ]);
  });

  it('does not blame the file when the store fails', async () => {
    const broken = { name: '1.jpg', size: 1, open: () => Promise.reject(new Error('store is away')) };
    await expect(summary(readFolder([broken], limits, unwatched))).rejects.toThrow('store is away');
  });
});
