import { Readable } from 'node:stream';
import { limits, memoryFile, reading, summary } from '../../test/memory-files';
import { readFolder, type FolderReading } from './folder';

const read = (files: Record<string, string | Uint8Array>, more: Partial<FolderReading> = {}) =>
  summary(
    readFolder(
      Object.entries(files).map(([name, content]) => memoryFile(name, content)),
      { ...reading, ...more },
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
      'metadata.jsonl:3! has none of the fields file_name, file, image, path, filename, image_file_name to say which picture it is about',
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
      expect(found.at(-1)).toBe('metadata! and 5 more pictures that it names and that are not there');
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
      expect(await summary(readFolder([drops, memoryFile('1.jpg', 'P')], reading))).toEqual([
        '1.jpg: caf\u00e9 \ud83d\ude00',
      ]);
    });

    it('in another encoding it is read, and that is said', async () => {
      const line = Buffer.from('{"file_name":"1.jpg","text":"un caf\u00e9"}\n', 'latin1');
      expect(await read({ 'metadata.jsonl': line, '1.jpg': 'P' })).toEqual([
        expect.stringMatching(/^metadata\.jsonl~ is not in UTF-8 and was read as Windows-1252 \(cp1252\), which was/),
        '1.jpg: un caf\u00e9',
      ]);
    });

    it('that is no text is refused as a whole', async () => {
      const noise = Buffer.concat([Buffer.from(`${good}\n`), Buffer.from([0, 1, 2, 0xff])]);
      expect(await read({ 'metadata.jsonl': noise, '1.jpg': 'P' })).toEqual([
        expect.stringMatching(/^metadata\.jsonl! is not text in UTF-8/),
        '1.jpg: (none)',
      ]);
    });
  });

  it('reports a caption that belongs to no picture', async () => {
    expect(await read({ 'a.jpg': 'P', 'notes.txt': 'hello' })).toEqual([
      'notes.txt! is a caption with no picture of that name beside it',
      'a.jpg: (none)',
    ]);
  });

  it('reads captions in UTF-8 with a byte order mark and in UTF-16, and refuses what is no text', async () => {
    expect(
      await read({
        '1.jpg': 'P',
        '1.txt': '\ufeffcaf\u00e9',
        '2.jpg': 'P',
        '2.txt': Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from('caf\u00e9', 'utf16le')]),
        '3.jpg': 'P',
        '3.txt': Buffer.from([0xff, 0xd8, 0, 1]),
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
    expect(await summary(readFolder([liar], reading))).toEqual([
      expect.stringMatching(/^1\.jpg! is larger than 2 MiB/),
    ]);
  });

  it('does not blame the file when the store fails', async () => {
    const broken = { name: '1.jpg', size: 1, open: () => Promise.reject(new Error('store is away')) };
    await expect(summary(readFolder([broken], reading))).rejects.toThrow('store is away');
  });

  it('takes captions from the usual files beside a picture, the first of them that is there', async () => {
    expect(
      await read({
        'a.png': 'P',
        'a.caption': 'in .caption',
        'b.png': 'P',
        'b.json': '{"caption":"in .json","score":1}',
        'c.png': 'P',
        'c.png.txt': 'after the whole name',
        'd.png': 'P',
        'd.txt': 'in .txt',
        'd.json': '{"caption":"not me"}',
        'd.caption': 'nor me',
        'e.png': 'P',
        'e.json': '{"prompt":["one","two"]}',
        'f.png': 'P',
        'f.json': '{"score":1,"sharp":true}',
        'g.png': 'P',
        'g.json': '{"caption":',
        '000.seg.png': 'P',
        '000.txt': 'by its key',
        'h.png': 'P',
        'h.cls': '3',
        'i.png': 'P',
        'i.cls': 'a heron',
      }),
    ).toEqual([
      'd.caption~ is not used: its picture has a caption in d.txt',
      '000.seg.png: by its key',
      'a.png: in .caption',
      'b.png: in .json',
      'c.png: after the whole name',
      'd.png: in .txt',
      'e.png: one | two',
      expect.stringMatching(
        /^f\.png! its caption f\.json has none of the fields text, caption, .*; it has: score, sharp\./,
      ),
      'g.png! its caption g.json is not JSON: write {"caption": "…"}',
      expect.stringMatching(/^h\.png! its caption h\.cls holds the number of a class only/),
      'i.png: a heron',
    ]);
  });

  it('takes captions from the field that a person names, and lists the fields that there are', async () => {
    const files = {
      'metadata.jsonl': '{"file_name":"1.jpg","text":"not me","blip":"me"}\n{"file_name":"2.jpg","text":"not me"}',
      '1.jpg': 'P',
      '2.jpg': 'P',
      '3.jpg': 'P',
      '3.json': '{"caption":"not me","blip":"me too"}',
    };
    expect(await read(files, { column: 'blip' })).toEqual([
      expect.stringMatching(/^metadata\.jsonl:2! has no field blip; it has: file_name, text\. .*--caption-column/),
      '1.jpg: me',
      '2.jpg: (none)',
      '3.jpg: me too',
    ]);
  });

  it('takes all captions of a picture that has several in metadata.jsonl', async () => {
    const lines = ['{"file_name":"1.jpg","text":["a","b"]}', '{"file_name":"1.jpg","text":"c"}'];
    expect(await read({ 'metadata.jsonl': lines.join('\n'), '1.jpg': 'P' })).toEqual(['1.jpg: a | b | c']);
    expect(await read({ 'metadata.jsonl': '{"file_name":"1.jpg","text":[1]}', '1.jpg': 'P' })).toEqual([
      'metadata.jsonl:1! has a text that is neither a text nor a list of texts',
      '1.jpg: (none)',
    ]);
  });

  it("reads kohya's folders: repeats, and the class as the caption of pictures without one", async () => {
    const files = {
      's/10_sks tower/1.png': 'P',
      's/10_sks tower/1.txt': 'mine',
      's/1_a_house/2.png': 'P',
      '2024_x/3.png': 'P',
    };
    expect(await read(files)).toEqual([
      expect.stringMatching(
        /^s\/10_sks tower~ is named as kohya's scripts have it: .* counts 10 times, and "sks tower"/,
      ),
      expect.stringMatching(/^s\/1_a_house~ .* counts once, and "a house" is the caption of those without one/),
      '2024_x/3.png: (none)',
      's/10_sks tower/1.png: mine',
      's/1_a_house/2.png: a house',
    ]);
  });

  it('leaves a caption to the picture of its name, and shares it only where there is none', async () => {
    const own = { 'a.b.png': 'P', 'a.b.caption': 'mine', 'a.c.png': 'P', 'a.png': 'P', 'a.txt': 'of a' };
    expect(await read(own)).toEqual(['a.b.png: mine', 'a.c.png: (none)', 'a.png: of a']);
    expect(await read({ '1.left.png': 'P', '1.txt': 'both' })).toEqual(['1.left.png: both']);
  });

  it('takes no repeats from the name of an archive', async () => {
    expect(await read({ '002_train.tar/1.png': 'P' })).toEqual(['002_train.tar/1.png: (none)']);
  });
});

describe('metadata.csv', () => {
  it('is read with line ends of several kinds', async () => {
    const table = 'text,file_name\none,1.png\r\ntwo,2.png\r\n';
    expect(await read({ 'metadata.csv': table, '1.png': 'P', '2.png': 'P' })).toEqual(['1.png: one', '2.png: two']);
  });

  it("is read as Hugging Face's imagefolder reads it: names, quotes, line breaks, an empty cell", async () => {
    const table =
      'file_name,text\r\n1.png,"one, quoted"\r\n2.png,two\r\n3.png,"a ""third""\nin lines"\r\n4.png,\r\n\r\n5.png,un"quoted\r\n';
    const pictures = Object.fromEntries(['1', '2', '3', '4', '5'].map((name) => [`${name}.png`, 'P']));
    expect(await read({ 'metadata.csv': table, ...pictures })).toEqual([
      expect.stringMatching(/^metadata\.csv:6! has none of the fields text, caption/),
      '1.png: one, quoted',
      '2.png: two',
      '3.png: a "third"\nin lines',
      '4.png: (none)',
      '5.png: un"quoted',
    ]);
  });

  it.each([
    [';', 'file_name;caption\n1.png;one, two\n'],
    ['tab', 'caption\tfile_name\none, two\t1.png\n'],
    ['a byte order mark', '\ufefffile_name,caption\n1.png,"one, two"\n'],
  ])('may have %s', async (_what, table) => {
    expect(await read({ 'x/metadata.csv': table, 'x/1.png': 'P' })).toEqual(['x/1.png: one, two']);
  });

  it('says which columns there are where none is known, and takes the one that is named', async () => {
    const files = { 'metadata.csv': 'file_name,blip\n1.png,one\n', '1.png': 'P' };
    expect(await read(files)).toEqual([
      expect.stringMatching(/^metadata\.csv:2! .*; it has: file_name, blip\. Name the one .* with --caption-column/),
      '1.png: (none)',
    ]);
    expect(await read(files, { column: 'blip' })).toEqual(['1.png: one']);
  });

  it('a row with a comma too many costs that row, and a quote that is never closed the table', async () => {
    expect(await read({ 'metadata.csv': 'file_name,text\n1.png,a, b\n2.png,c\n', '1.png': 'P', '2.png': 'P' })).toEqual(
      [
        'metadata.csv:2! has 3 cells where the first line names 2 columns: put texts with commas in "double quotes"',
        '1.png: (none)',
        '2.png: c',
      ],
    );
    expect(await read({ 'metadata.csv': 'file_name,text\n1.png,"a\n', '1.png': 'P' })).toEqual([
      expect.stringMatching(/^metadata\.csv! cannot be read as a table/),
      '1.png: (none)',
    ]);
  });
});
