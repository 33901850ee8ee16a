import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzip, makeTar, makeZip, makeZipWithName, packed, unmarkedZip } from '../../test/archives';
import { overlappingZip } from '../../test/hostile-archives';
import { limits, memoryFile, summary } from '../../test/memory-files';
import { DatasetReader } from './dataset-reader';
import { unwatched } from './in-hand';
import type { InputFile } from './input-file';
import { Spool } from './spool';

let folder: string;
let spool: Spool;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'reader-spec-'));
  spool = new Spool(await mkdtemp(join(folder, 'spool-')));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

async function read(...files: InputFile[]): Promise<string[]> {
  const reader = new DatasetReader(spool, limits, unwatched);
  try {
    return await summary(reader.read(files));
  } finally {
    reader.close();
  }
}

const pair = { 'cats/tom.jpg': 'P', 'cats/tom.txt': 'a tom' };

describe('archives', () => {
  it.each([
    ['zip', () => makeZip(pair)],
    ['tar', () => makeTar(pair)],
    ['tar.gz', async () => gzip(await makeTar(pair))],
    ['tgz', async () => gzip(await makeTar(pair))],
  ])('a .%s is read as the folder it holds, under its own name', async (extension, make) => {
    expect(await read(memoryFile(`set.${extension}`, await make()))).toEqual([`set.${extension}/cats/tom.jpg: a tom`]);
  });

  it.each<[string, string, () => Promise<Buffer>]>([
    ['a gzipped tar', 'set.tar', async () => gzip(await makeTar(pair))],
    ['a plain tar', 'set.tar.gz', () => makeTar(pair)],
    ['a zip', 'set.tar.gz', () => makeZip(pair)],
    ['a tar', 'set.zip', () => makeTar(pair)],
    ['a bzipped tar', 'set.tar.bz2', async () => packed('bzip2', await makeTar(pair))],
    ['a tar in xz', 'set.tar.xz', async () => packed('xz', await makeTar(pair))],
    ['a tar in xz', 'set.zip', async () => packed('xz', await makeTar(pair))],
  ])('%s named %s is read by its content', async (_what, name, make) => {
    expect(await read(memoryFile(name, await make()))).toEqual([`${name}/cats/tom.jpg: a tom`]);
  });

  it('one that is cut short, or that is none, or packed with what is not read, says so', async () => {
    const tar = await makeTar(pair);
    for (const packer of ['bzip2', 'xz']) {
      const cut = packed(packer, tar).subarray(0, 120);
      const [refused] = await read(memoryFile('cut.tar', cut));
      expect(refused).toMatch(/^cut\.tar! is (damaged|not a tar file that can be read): /);
    }
    const sevenZip = Buffer.concat([Buffer.from('377abcaf271c', 'hex'), Buffer.alloc(600)]);
    expect(await read(memoryFile('set.zip', sevenZip))).toEqual([
      'set.zip! is packed with 7-Zip, which is not read: hand in a .zip, a .tar or a .tar.gz',
    ]);
  });

  it('what unpacks from bzip2 or xz to more than it may is refused', async () => {
    const tar = await makeTar({ 'big.jpg': Buffer.alloc(limits.unpackedBytes + 1) });
    for (const packer of ['bzip2', 'xz'])
      expect(await read(memoryFile('bomb.tar', packed(packer, tar)))).toEqual([
        expect.stringMatching(/^bomb\.tar! (is not a tar file that can be read: )?unpacks to more than/),
      ]);
  });

  it('a WebDataset is read by its keys', async () => {
    const tar = await makeTar({
      '0.png': 'P',
      '0.json': '{"caption":"zero"}',
      '1.jpg': 'P',
      '1.txt': 'one',
      '1.cls': '7',
    });
    expect(await read(memoryFile('shard.tar', tar))).toEqual(['shard.tar/0.png: zero', 'shard.tar/1.jpg: one']);
  });

  it('what systems leave beside pictures is set aside', async () => {
    const clutter = { '@eaDir/tom.jpg/SYNOPHOTO_THUMB_M.jpg': 'P', '__MACOSX/._tom.jpg': 'P', 'x/.DS_Store': 'P' };
    const more = { '.thumbs/a.jpg': 'P', '#recycle/b.jpg': 'P', 'cats/._tom.jpg': 'P' };
    expect(await read(memoryFile('set.zip', await makeZip({ ...pair, ...clutter, ...more })))).toEqual([
      'set.zip/cats/tom.jpg: a tom',
    ]);
  });

  describe('names in a zip that are not marked as UTF-8', () => {
    const listed = (name: string) => Buffer.from(`{"file_name":"${name}","text":"t"}`);

    it('are UTF-8 where they can be, as macOS packs them', async () => {
      const zip = await unmarkedZip({
        'caf\u00e9.png': ['utf-8', 'P'],
        'metadata.jsonl': ['utf-8', listed('caf\u00e9.png')],
      });
      expect(await read(memoryFile('set.zip', zip))).toEqual(['set.zip/caf\u00e9.png: t']);
    });

    it.each([
      ['GBK', 'GBK (GB18030)', '\u7ea2\u8272\u7684\u623f\u5b50.png'],
      ['SHIFT_JIS', 'Shift-JIS', '\u8d64\u3044\u5c4b\u6839\u306e\u4e0a\u306e\u732b.png'],
      ['BIG5', 'Big5', '\u7d05\u8272\u7684\u623f\u5b50.png'],
      ['EUC-KR', 'EUC-KR (CP949)', '\uace0\uc591\uc774.png'],
    ])('are %s where that is detected, which is said', async (encoding, shown, name) => {
      const zip = await unmarkedZip({ [name]: [encoding, 'P'], 'metadata.jsonl': ['utf-8', listed(name)] });
      expect(await read(memoryFile('set.zip', zip))).toEqual([
        `set.zip~ has 1 name that is not marked as UTF-8 and were read as ${shown}, which was detected: if they are wrong, pack it with UTF-8 names`,
        `set.zip/${name}: t`,
      ]);
    });

    it('are code page 437 otherwise, which is said', async () => {
      const zip = await unmarkedZip({ 'cr\u00e8me br\u00fbl\u00e9e.png': ['CP437', 'P'] });
      expect(await read(memoryFile('set.zip', zip))).toEqual([
        expect.stringMatching(/^set\.zip~ has 1 name .* read as code page 437, as the standard has it/),
        'set.zip/cr\u00e8me br\u00fbl\u00e9e.png: (none)',
      ]);
    });
  });

  it('loose files and archives come together in the order of names', async () => {
    const zip = memoryFile('b.zip', await makeZip(pair));
    expect(await read(memoryFile('c.jpg', 'P'), zip, memoryFile('a.jpg', 'P'))).toEqual([
      'a.jpg: (none)',
      'b.zip/cats/tom.jpg: a tom',
      'c.jpg: (none)',
    ]);
  });

  it('an entry that would leave the archive is reported, the others are read', async () => {
    const zip = await makeZipWithName({ ...pair, 'xx/evil.jpg': 'P' }, 'xx/evil.jpg', '../evil.jpg');
    expect(await read(memoryFile('set.zip', zip))).toEqual([
      'set.zip/../evil.jpg! has a path that leaves its folder (".."): name files by their place within it',
      'set.zip/cats/tom.jpg: a tom',
    ]);
    const tar = await makeTar({ ...pair, '../evil.jpg': 'P', '/etc/evil.jpg': 'P' });
    expect(await read(memoryFile('set.tar', tar))).toEqual([
      'set.tar/../evil.jpg! has a path that leaves its folder (".."): name files by their place within it',
      'set.tar//etc/evil.jpg! has an absolute path; a relative one is needed',
      'set.tar/cats/tom.jpg: a tom',
    ]);
  });

  it('a link in an archive is never followed', async () => {
    const tar = await makeTar(pair, { 'link.jpg': '/etc/passwd' });
    expect(await read(memoryFile('set.tar', tar))).toEqual([
      'set.tar/link.jpg! is a link; put the file itself in the archive',
      'set.tar/cats/tom.jpg: a tom',
    ]);
  });

  it('a bomb is refused by name, in zip and in gzip, and the rest goes on', async () => {
    const zeros = Buffer.alloc(limits.unpackedBytes + 1);
    const zip = await makeZip({ 'big.jpg': zeros });
    const tgz = await gzip(await makeTar({ 'big.jpg': zeros }));
    expect(Math.max(zip.length, tgz.length)).toBeLessThan(50_000);
    for (const bomb of [memoryFile('bomb.zip', zip), memoryFile('bomb.tgz', tgz)]) {
      expect(await read(bomb, memoryFile('a.jpg', 'P'))).toEqual([
        expect.stringMatching(/^bomb\.(zip|tgz)! .*unpacks to more than the 16 MiB one dataset may hold/),
        'a.jpg: (none)',
      ]);
    }
  });

  it('a zip whose entries share their bytes is refused, whatever it would unpack to', async () => {
    const zip = overlappingZip(['1.jpg', '2.jpg'], Buffer.from('a picture, twice'));
    expect(await read(memoryFile('set.zip', zip), memoryFile('a.jpg', 'P'))).toEqual([
      'set.zip! is a zip file whose entries overlap: pack it again',
      'a.jpg: (none)',
    ]);
    expect(await read(memoryFile('set.zip', overlappingZip(['1.jpg'], Buffer.from('once'))))).toEqual([
      'set.zip/1.jpg: (none)',
    ]);
  });

  it('an archive that holds no files is named', async () => {
    expect(await read(memoryFile('set.zip', await makeZip({})), memoryFile('set.tar', Buffer.alloc(10_240)))).toEqual([
      'set.tar! holds no files',
      'set.zip! holds no files',
    ]);
  });

  it('the budget is one for all archives of a dataset', async () => {
    const half = await makeZip({ 'big.txt': Buffer.alloc(limits.unpackedBytes / 2 + 1) });
    const report = await read(memoryFile('1.zip', half), memoryFile('2.zip', half));
    expect(report).toContainEqual(expect.stringMatching(/^2\.zip! .*unpacks to more than/));
    expect(report).not.toContainEqual(expect.stringMatching(/^1\.zip! /));
  });

  it('too many files are refused', async () => {
    const many = Object.fromEntries(Array.from({ length: limits.files + 1 }, (_, index) => [`${index}.jpg`, 'P']));
    expect(await read(memoryFile('many.zip', await makeZip(many)))).toEqual([
      expect.stringMatching(/^many\.zip! .*more than the 200 files/),
    ]);
  });

  it.each(['zip', 'tar', 'tar.gz', 'parquet'])('text named .%s is reported as what it is not', async (extension) => {
    expect(await read(memoryFile(`set.${extension}`, 'this is no archive, only text'))).toEqual([
      expect.stringMatching(new RegExp(`^set\\.${extension.replace('.', '\\.')}! is not a .* that can be read`)),
    ]);
  });

  it('a zip cut short is reported, a tar cut short keeps what came before', async () => {
    const zip = await makeZip(pair);
    expect(await read(memoryFile('set.zip', zip.subarray(0, zip.length - 30)))).toEqual([
      expect.stringMatching(/^set\.zip! is not a zip file/),
    ]);
    const tar = await makeTar({ ...pair, 'late.jpg': Buffer.alloc(5000) });
    expect(await read(memoryFile('set.tar', tar.subarray(0, 2048 + 512 + 100)))).toEqual([
      expect.stringMatching(/^set\.tar! is damaged: .*; the 2 files before that were read/),
      'set.tar/cats/tom.jpg: a tom',
    ]);
  });

  it('an archive within an archive is not opened', async () => {
    const inner = await makeZip(pair);
    expect(await read(memoryFile('set.zip', await makeZip({ 'inner.zip': inner })))).toEqual([
      'set.zip/inner.zip! is an archive within an archive: hand it in by itself',
    ]);
  });
});

describe('names', () => {
  it('clutter is passed over, an unknown kind is reported', async () => {
    expect(
      await read(
        memoryFile('.DS_Store', 'x'),
        memoryFile('README.md', 'x'),
        memoryFile('__MACOSX/._a.jpg', 'x'),
        memoryFile('a.doc', 'x'),
      ),
    ).toEqual([expect.stringMatching(/^a\.doc! is not a picture, caption/)]);
  });

  it('two files that clean to one name are not mixed up', async () => {
    expect(await read(memoryFile('a.jpg', 'first'), memoryFile('./a.jpg', 'second'))).toEqual([
      'a.jpg! is there twice under this name; the first is kept',
      'a.jpg: (none)',
    ]);
  });
});
