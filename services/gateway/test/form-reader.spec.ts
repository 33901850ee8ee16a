import { buffer } from 'node:stream/consumers';
import { FormReader } from '../src/datasets/form-reader';
import { Random } from './forms';

type Read = [name: string, fileName: string | undefined, bytes: string];

async function read(pieces: Iterable<Buffer>, type = 'multipart/form-data; boundary=b'): Promise<Read[]> {
  const source = (async function* () {
    yield* pieces;
  })();
  const reader = new FormReader(source, type);
  const parts: Read[] = [];
  for (let part = await reader.next(); part; part = await reader.next())
    parts.push([part.name, part.fileName, (await buffer(part.data)).toString('latin1')]);
  return parts;
}

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');
const head = (disposition: string): string => `--b\r\nContent-Disposition: form-data; ${disposition}\r\n\r\n`;
const partOf = async (disposition: string): Promise<Read> =>
  (await read([Buffer.from(`${head(disposition)}x\r\n--b--`)]))[0]!;

// Contents that look like the beginning of a boundary, and one that is longer than any.
const CONTENTS = ['', '\r', '\r\n', '\r\n-', '\r\n--', '\r\n--\r\n--', '\r\r\n', '--b', '\n--b', '-'.repeat(100)];
const FILES = CONTENTS.map((content, at) => `${head(`name="files"; filename="${at}.png"`)}${content}\r\n`);
const FORM = `before\r\n${head('name="name"')}herons\r\n${FILES.join('')}--b--\r\nafter\r\n--b\r\n`;
const PARTS: Read[] = [
  ['name', undefined, 'herons'],
  ...CONTENTS.map((content, at): Read => ['files', `${at}.png`, content]),
];

test('a form is read alike however it is cut into pieces', async () => {
  const form = bytes(FORM);
  expect(await read([form])).toEqual(PARTS);
  expect(await read(Array.from(form, (byte) => Buffer.from([byte])))).toEqual(PARTS);
  for (let cut = 1; cut < form.length; cut++)
    expect(await read([form.subarray(0, cut), form.subarray(cut)])).toEqual(PARTS);
  const random = new Random(1);
  for (let tries = 0; tries < 300; tries++) {
    const cuts = [random.below(form.length), random.below(form.length), random.below(form.length), form.length].sort(
      (a, b) => a - b,
    );
    expect(
      await read(cuts.map((cut, at) => form.subarray(cuts[at - 1] ?? 0, cut)).filter(({ length }) => length > 0)),
    ).toEqual(PARTS);
  }
});

test("what Node's own fetch sends is read as Node's own parser reads it", async () => {
  const data = new FormData();
  data.append('name', 'hérons\nand "others"');
  for (const name of ['a.png', 'é ü 漢.png', 'a;b="c".png', 'line\r\nbreak.png', "o'hara\\.png"])
    data.append('files', new Blob([name.repeat(1000), '\r\n--']), name);
  const sent = new Response(data);
  const type = sent.headers.get('content-type')!;
  const form = Buffer.from(await sent.arrayBuffer());
  const expected: Read[] = [];
  for (const [name, value] of await new Response(form, { headers: { 'content-type': type } }).formData()) {
    if (typeof value === 'string') expected.push([name, undefined, Buffer.from(value).toString('latin1')]);
    else expected.push([name, value.name, Buffer.from(await value.arrayBuffer()).toString('latin1')]);
  }
  // Quotes and line breaks of a name stay as fetch writes them: a file's name is a label, and is shown without them
  // anyway.
  const unescaped = (name?: string): string | undefined =>
    name?.replace(/%22/g, '"').replace(/%0D/g, '\r').replace(/%0A/g, '\n');
  expect((await read([form], type)).map(([name, file, content]) => [name, unescaped(file), content])).toEqual(expected);
});

test.each([
  ['name="files"; filename="a.png"', 'a.png'],
  ['name=files; filename=a.png', 'a.png'],
  ['NAME="files" ; FileName="a.png";', 'a.png'],
  ['name="files"; filename="a; name=x.png"', 'a; name=x.png'],
  ['name="files"; filename="C:\\pictures\\a.png"', 'C:\\pictures\\a.png'],
  ['name="files"; filename="a \\"b\\" \\\\ c.png"', 'a "b" \\ c.png'],
  ['name="files"; filename="é.png"', 'é.png'],
  ['name="files"; filename="e.png"; filename*=UTF-8\'\'%c3%a9.png', 'é.png'],
  ['name="files"; filename=""', ''],
  ['name="files"', undefined],
])('the file of form-data; %s', async (disposition, fileName) => {
  expect(await partOf(disposition)).toEqual(['files', fileName, 'x']);
});

test.each<[string, string, RegExp]>([
  ['a form that ends early', head('name="a"') + 'x', /it ends before its last boundary/],
  ['a boundary that goes on', `${head('name="a"')}x\r\n--bc\r\nx: y\r\n\r\n`, /"c" follows a boundary in its line/],
  ['a part without headers', '--b\r\n\r\nx\r\n--b--', /part 1 has no content-disposition/],
  [
    'a part without content or an empty line',
    `${head('name="a"')}x\r\n--b\r\nContent-Disposition: form-data; name="b"\r\n--b--\r\n\r\n`,
    /"--b--" is no header of part 2/,
  ],
  ['a header that is none', '--b\r\nhello\r\n\r\nx\r\n--b--', /"hello" is no header of part 1/],
  [
    'an attachment',
    '--b\r\nContent-Disposition: attachment; name="a"\r\n\r\nx\r\n--b--',
    /part 1 has the content-disposition "attachment; name=\\"a\\"", where form-data with a name is needed/,
  ],
  ['a part without a name', `${head('filename="a.png"')}x\r\n--b--`, /where form-data with a name is needed/],
  ['a quote that does not end', `${head('name="a')}x\r\n--b--`, /where form-data with a name is needed/],
  [
    'a file name that is not UTF-8',
    `${head('name="a"; filename*=utf-8\'\'%e9')}x\r\n--b--`,
    /"utf-8''%e9", which is not UTF-8/,
  ],
  [
    'base64',
    '--b\r\nContent-Disposition: form-data; name="a"\r\nContent-Transfer-Encoding: base64\r\n\r\neA==\r\n--b--',
    /part 1 is encoded as "base64": send its bytes as they are/,
  ],
  ['headers without an end', `--b\r\nlong: ${'x'.repeat(20_000)}`, /the headers of part 1 are over 16 KiB/],
])('%s is refused with its reason', async (_what, form, reason) => {
  await expect(read([bytes(form)])).rejects.toThrow(reason);
  await expect(read(Array.from(bytes(form), (byte) => Buffer.from([byte])))).rejects.toThrow(reason);
});

test('a part that nobody reads, or only begins to read, is passed over', async () => {
  const reader = new FormReader(
    (async function* () {
      yield bytes(FORM);
    })(),
    'multipart/form-data; boundary=b',
  );
  await reader.next();
  const second = await reader.next();
  await second!.data.return(undefined);
  for (let count = 2; count < PARTS.length; count++) expect((await reader.next())!.fileName).toBe(PARTS[count]![1]);
  expect(await reader.next()).toBeUndefined();
});
