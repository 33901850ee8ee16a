import sharp from 'sharp';
import { DatasetState, type Dataset } from '@atelier/contracts';
import { gzip, makeTar, makeZip, makeZipWithName } from './archives';
import { Harness, type Files } from './harness';
import { pngHeader } from './hostile-files';

const MIB = 2 ** 20;

let harness: Harness;
beforeEach(async () => {
  harness = await Harness.start({ ATELIER_INGEST_MAX_UNPACKED_MIB: '32' });
});
afterEach(() => harness.stop());

const picture = (background: string): Promise<Buffer> =>
  sharp({ create: { width: 100, height: 80, channels: 3, background } })
    .jpeg()
    .toBuffer();

/** What people, and people who mean harm, hand in: file name → content, and the reason that is to be given for it. */
async function hostile(): Promise<
  Record<string, { content: string | Uint8Array; caption?: string | Uint8Array; reports: Record<string, RegExp> }>
> {
  const whole = await sharp({
    create: {
      width: 300,
      height: 200,
      channels: 3,
      background: 'grey',
      noise: { type: 'gaussian', mean: 128, sigma: 40 },
    },
  })
    .jpeg()
    .toBuffer();
  const zeros = Buffer.alloc(33 * MIB);
  return {
    'cut.jpg': {
      content: whole.subarray(0, whole.length / 2),
      caption: 'x',
      reports: { 'cut.jpg': /^cannot be decoded as a picture: VipsJpeg: premature end/ },
    },
    'huge.png': {
      content: pngHeader(50_000, 50_000),
      caption: 'x',
      reports: { 'huge.png': /^has 50000 × 50000 pixels; 200 million are allowed: make it smaller$/ },
    },
    'empty.png': { content: '', caption: 'x', reports: { 'empty.png': /^is empty \(zero bytes\): copy it again$/ } },
    'script.jpg': {
      content: '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>',
      caption: 'x',
      reports: { 'script.jpg': /^is SVG, which is a drawing program/ },
    },
    'silent.jpg': { content: whole, caption: ' \n', reports: { 'silent.jpg': /^has an empty caption: write one/ } },
    'bare.jpg': { content: whole, reports: { 'bare.jpg': /^has no caption: write one/ } },
    'long.jpg': {
      content: whole,
      caption: 'x'.repeat(10 * MIB),
      reports: { 'long.jpg': /^its caption long\.txt is larger than 64 KiB/ },
    },
    'nul.jpg': { content: whole, caption: 'a\0b', reports: { 'nul.jpg': /^its caption holds NUL characters/ } },
    'noise.jpg': {
      content: whole,
      caption: Buffer.from([0xff, 0xd8, 0x01, 0x02, 0x90]),
      reports: { 'noise.jpg': /^its caption noise\.txt is not text in UTF-8/ },
    },
    'escape.zip': {
      content: await makeZipWithName(
        { 'xx/evil.jpg': whole, 'fine.jpg': await picture('teal'), 'fine.txt': 'fine' },
        'xx/evil.jpg',
        '../evil.jpg',
      ),
      reports: { 'escape.zip/../evil.jpg': /^has a path that leaves its folder/ },
    },
    'bomb.zip': {
      content: await makeZip({ 'big.jpg': zeros }),
      reports: { 'bomb.zip': /unpacks to more than the 32 MiB/ },
    },
    'bomb.tgz': {
      content: await gzip(await makeTar({ 'big.jpg': zeros })),
      reports: { 'bomb.tgz': /unpacks to more than the 32 MiB/ },
    },
    'odd\u0001name.jpg': {
      content: whole,
      caption: 'x',
      reports: {
        'odd\ufffdname.jpg': /^has a control character in its name$/,
        'odd\ufffdname.txt': /^has a control character in its name$/,
      },
    },
    'notes.docx': { content: 'PK', reports: { 'notes.docx': /^is not a picture, caption/ } },
  };
}

it('every hostile file is reported by name with its reason, one report each, and the good ones become samples', async () => {
  const all = await hostile();
  const files: Files = { 'good.jpg': await picture('tomato'), 'good.txt': 'good' };
  for (const [name, { content, caption }] of Object.entries(all)) {
    files[name] = content;
    if (caption !== undefined) files[name.replace(/\.\w+$/, '.txt')] = caption;
  }
  await harness.upload('d1', files);
  const dataset = (await harness.ingest('d1')) as Dataset;

  const wanted = Object.assign({}, ...Object.values(all).map(({ reports }) => reports)) as Record<string, RegExp>;
  expect(dataset.rejected.map(({ name }) => name).sort()).toEqual(Object.keys(wanted).sort());
  const given = Object.fromEntries(dataset.rejected.map(({ name, reason }) => [name, reason]));
  expect(given).toEqual(
    Object.fromEntries(Object.entries(wanted).map(([name, reason]) => [name, expect.stringMatching(reason)])),
  );
  expect((await harness.manifest(dataset)).samples.map(({ name }) => name)).toEqual([
    'escape.zip/fine.jpg',
    'good.jpg',
  ]);
  expect(dataset.state).toBe(DatasetState.DATASET_STATE_INGESTED);
  expect(await harness.deadLetters()).toEqual([]);

  const { datasetIngested } = (await harness.events('events.dataset.d1.ingested'))[0]!;
  expect(datasetIngested?.rejected).toHaveLength(Object.keys(wanted).length);
});
